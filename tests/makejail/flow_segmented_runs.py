"""A build run segment by segment does what the same lines do in one script."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from .test_segment_scripts import RECORDER, Host, program

LINES = [
    'v="it\'s"',
    "v='two\nlines'",
    'v="$v$w"',
    'export w="a  b"',
    "unset v",
    "IFS=,",
    "PATH=$PATH:/extra",
    "umask 027",
    "cd sub",
    'cd "$RECONCILER_CONTEXT"',
    'set -u; : "${v=}" "${w=}"',
    "set +e; false; set -e",
    "set -f",
    "set -C",
    'set -- "$v" \'b c\' "$@"',
    'f() { mark f "$1" "${v-}"; v=f; }',
    'f() {\nmark g "$@"\n}',
    'command -v f >/dev/null && f "${v-}"',
    'if [ -n "${v-}" ]; then\nmark yes\nelse\nmark no\nfi',
    'for x in 1 2; do\nmark "$x"\ndone',
    "cat >/dev/null <<E\nif $(\nE",
    'eval "v=held"',
    "trap 'mark bye' EXIT",
]
SHOW = 'RAW mark "${v-unset}" "${w-unset}" "$(umask)" "${PWD##*/}" "$#" "$*" "${PATH##*:}" *\n'
ENVIRONMENT = 'RAW sh -c \'mark "${v-none}" "${w-none}"\'\n'


def _raw(text: str) -> str:
    return "".join(f"RAW {line}\n" for line in text.split("\n"))


def _run(folder: Path, scripts: list[str]) -> tuple[int, list[str]]:
    context = folder / "context"
    (context / "sub").mkdir(parents=True)
    host = Host(folder / "host", context)
    host.tool("jexec", RECORDER)
    status = 0
    for script in scripts:
        status = status or host.run(script).returncode
    return status, host.recorded()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=8))
def test_a_build_in_segments_has_the_effects_of_one_script(lines: list[str]) -> None:
    text = "".join(_raw(line) + SHOW for line in lines) + ENVIRONMENT
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scripts = [segment.script for segment in program(folder, text).segments]
        code = "".join(line.removeprefix("RAW ") for line in text.splitlines(keepends=True))
        whole = f'set -e\ncd -- "$RECONCILER_CONTEXT"\n{code}'
        assert _run(folder / "one/run", [whole]) == _run(folder / "many/run", scripts)
