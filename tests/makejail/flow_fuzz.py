"""Whatever a Makejail holds, the language answers with a Program or with diagnostics, in bounded time."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.cli.main import main
from reconciler.makejail.compile import compile_lines
from reconciler.makejail.facts import build_check, defined_twice, init_check, stage_facts
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.include import flatten
from reconciler.makejail.instructions import instructions
from reconciler.makejail.lint import lint
from reconciler.makejail.macros import expand_macros
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import Given, compile_text
from reconciler.makejail.wishes import TABLE, wishes

WORDS = st.sampled_from(
    [
        *(
            "a",
            "/b c",
            "x=1",
            "x",
            "$x",
            "${x}",
            "${x:-$y}",
            "${x",
            "$(x)",
            "`x`",
            '"',
            "'",
            '"a"b',
            "''",
            "\\",
            "\\\\",
        ),
        *("--", "--jexec", "--local", "--row", "--file", "--name", "--user", "--nope", "%{M}", "%%{M}", "%{M:1}", "&"),
        *("if a; then", "fi", "case x in", "}", "<<E", "# c", ":g:", "start", "custom:x", "build", "\t", "é", "\udc80"),
    ]
)
NAMES = st.sampled_from([*sorted(instructions()), "STAGE", "INCLUDE", "OPTION", "", "foo", "a/b"])
LINES = st.one_of(
    st.builds(lambda name, words: " ".join([name, *words]), NAMES, st.lists(WORDS, max_size=5)),
    st.sampled_from(sorted(TABLE)).map("OPTION {}=a b:c".format),
    st.text(max_size=20),
)
TEXTS = st.lists(LINES, max_size=15).map(lambda lines: "".join(f"{line}\n" for line in lines))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, st.booleans())
def test_a_program_comes_out_or_diagnostics(text: str, values: bool) -> None:
    with suppress(MakejailError):
        compiled = compile_text(text, Given({"x": "1"} if values else None))
        wishes(compiled.options)
        assert all(segment.script for segment in compiled.segments)
        assert all(isinstance(compiled.value(mount.device), str | None) for mount in compiled.mounts)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TEXTS, apply=st.booleans())
def test_facts_and_lints_come_out_or_diagnostics(text: str, apply: bool, tmp_path: Path) -> None:
    (tmp_path / "Makejail").write_bytes(text.encode("utf-8", "surrogateescape"))
    with suppress(MakejailError):
        flat = flatten("Makejail", LocalFiles(), str(tmp_path))
        expanded = expand_macros(flat)
        compiled = compile_lines(expanded, flat.root)
        shown = {name: stage_facts(name, state) for name, state in compiled.stages.items()}
        json.dumps([shown, defined_twice(expanded.lines, compiled)])
        assert build_check(compiled.stages["build"]) is not None and init_check(compiled.stages) is not None
        assert all(found.code and found.hint for found in lint(flat, expanded, compiled))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=200))
def test_any_bytes_are_answered_by_the_command_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "Makejail").write_bytes(data)
    for words in (["compile"], ["compile", "--stop-after", "lines"], ["lint"], ["args"], ["format", "--check"]):
        assert main(["makejail", words[0], str(tmp_path / "Makejail"), *words[1:]]) in (0, 1, 64, 65, 66, 69, 74)


def test_long_lines_and_many_lines_take_bounded_time() -> None:
    """Each is what makes a careless reader slow: quadratic joins, backtracking, deep nesting."""
    code = (
        "from reconciler.makejail.program import compile_text\n"
        "from reconciler.makejail.problem import MakejailError\n"
        "for text in ('RAW ' + '(' * 20000, 'CMD ' + 'a ' * 20000, 'RAW x \\\\\\n' * 5000, '%{A:' * 5000,\n"
        "    'CMD ' + '\\\\\\\\' * 20000, 'OPTION ' + '${a:-' * 500 + '}' * 500, 'ARG a=' + '$a' * 5000,\n"
        "    'RAW ' + '$(' * 5000, '%{A:1}\\n' + 'CMD %{A}\\n' * 2000, 'RAW a ' + '\\\\ ' * 20000):\n"
        "    try:\n        compile_text(text + '\\n')\n    except MakejailError:\n        pass\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
