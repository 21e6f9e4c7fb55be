"""Generated scripts parse and run under /bin/sh, and the shell's state crosses from one to the next."""

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.makejail.files import LocalFiles
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import Given, Program, compile_makejail

from .cases import cases

RECORDER = """#!/bin/sh
{ printf '%s' "${0##*/}"; for word; do printf '|%s' "$word"; done; echo; } >>"$RECORD"
case $* in *"$FAIL"*) [ -z "$FAIL" ] || exit 3 ;; esac
[ -t 0 ] || [ "${0##*/}" != jexec ] || case $* in *"sh -s"*) cat >>"$RECORD" ;; esac
"""
# Runs what jexec is given, with the last word, an absolute path, inside the folder $JAIL.
JAIL_ROOT = """#!/bin/sh
shift 2
case $1 in
test) exec test -d "$JAIL$3" ;;
sh) shift 4; flags=$1 name=$2 target=$3; exec sh -c "$PLACE" sh "$flags" "$name" "$JAIL$target" ;;
esac
"""


def program(folder: Path, text: str, given: Given | None = None) -> Program:
    """Compile `text` as the Makejail in `folder`."""
    (folder / "Makejail").write_text(text)
    return compile_makejail("Makejail", LocalFiles(), str(folder), given)


class Host:
    """A folder with recorders for the host's tools, in which scripts are run."""

    def __init__(self, folder: Path, context: Path) -> None:
        self.folder, self.context = folder, context
        self.record = folder / "record"
        (folder / "bin").mkdir(parents=True)
        self.tool("jexec", RECORDER)
        self.tool("pkg", RECORDER)
        self.tool("mark", RECORDER)

    def tool(self, name: str, text: str) -> None:
        """Put a command on the scripts' PATH."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one script as the runner does."""
        path = self.folder / "script"
        path.write_text(script)
        return subprocess.run(
            ["/bin/sh", str(path), *words],
            env={
                "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
                "HOME": "/root",
                "RECORD": str(self.record),
                "FAIL": "",
                "RECONCILER_JAIL": "build-web",
                "RECONCILER_ENV": str(self.folder / "state"),
                "RECONCILER_CONTEXT": str(self.context),
                "RECONCILER_SOURCES": str(self.folder / "sources"),
                "APPJAIL_JAILNAME": "web",
                **environment,
            },
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )

    def run_all(self, compiled: Program) -> list[str]:
        """Run every segment and return what was recorded."""
        for segment in compiled.segments:
            done = self.run(segment.script)
            assert done.returncode == 0, done.stderr + segment.script
        return self.recorded()

    def recorded(self) -> list[str]:
        """The recorded command lines, words joined by a bar."""
        return self.record.read_text().splitlines() if self.record.exists() else []


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The Makejail's folder."""
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


@pytest.fixture
def host(tmp_path: Path, context: Path) -> Host:
    """A host of recorders."""
    return Host(tmp_path / "host", context)


UNAVAILABLE = {"DESTROY", "EXEC", "FROM", "LOGIN", "FOO"}


def _is_whole(case: dict[str, Any]) -> bool:
    """Whether the case is one file, parses in the original, and needs only what a build can carry out."""
    lines = "\n".join(case["files"].values()).split("\n")
    known = not any(line.split(" ")[0] in UNAVAILABLE for line in lines)
    return known and bool(case.get("build_script_parses")) and list(case["files"]) == ["Makejail"]


SCRIPTS = [case for case in cases("compile") if _is_whole(case)]


@pytest.mark.parametrize("case", SCRIPTS, ids=[case["id"] for case in SCRIPTS])
def test_every_script_of_the_vectors_parses(case: dict[str, Any], context: Path) -> None:
    compiled = program(context, case["files"]["Makejail"])
    for script in [*(segment.script for segment in compiled.segments), *compiled.stages.values()]:
        done = subprocess.run(["/bin/sh", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr + script


def test_variables_umask_folder_functions_and_options_cross_segments(host: Host, context: Path) -> None:
    (context / "sub").mkdir()
    compiled = program(
        context,
        'VAR "v=it\'s a \\"quoted\\" $APPJAIL_JAILNAME"\n'
        "RAW umask 027; cd sub; set -u\n"
        "RAW export EXPORTED='two\n"
        "RAW lines'\n"
        'RAW greet() { mark hello "$1" "$v"; }\n'
        "RAW set -- 'a b' c\n"
        "RAW PATH=$PATH:/extra\n"
        'RAW greet "$2"\n'
        'RAW mark "$(umask)" "${PWD##*/}" "$(echo "$-" | fold -w1 | sort | tr -d "\\n")" "$#" "$1" "${PATH##*:}"\n'
        'RAW mark "$EXPORTED"; sh -c \'mark "$EXPORTED"\'\n',
    )
    assert len(compiled.segments) == 8
    recorded = "\n".join(host.run_all(compiled))
    assert 'mark|hello|c|it\'s a "quoted" web' in recorded
    assert "mark|0027|sub|eu|2|a b|/extra" in recorded
    assert recorded.count("mark|two\nlines") == 2


def test_the_saved_state_holds_nothing_of_the_environment_or_of_unchanged_arguments(host: Host, context: Path) -> None:
    compiled = program(context, "ARG a=1\nARG b=2\nRAW b=3; c=4\n")
    assert host.run(compiled.segments[0].script, SECRET="canary").returncode == 0
    state = (host.folder / "state").read_text()
    assert "canary" not in state and "RECONCILER_JAIL=" not in state
    assert [line for line in state.splitlines() if line[:2] in ("a=", "b=", "c=")] == ["b='3'", "c='4'"]


def test_a_new_argument_value_reaches_a_build_that_resumes_from_saved_state(host: Host, context: Path) -> None:
    text = "ARG port=80\nRAW mark first\nCMD use $port\n"
    assert host.run(program(context, text).segments[0].script).returncode == 0
    later = program(context, text, Given(arguments={"port": "8080"}))
    assert host.run(later.segments[1].script).returncode == 0
    assert host.recorded()[-1].endswith("env|port=8080|sh|-c|use $port")


def test_instructions_reach_into_the_jail_by_name_only(host: Host, context: Path) -> None:
    compiled = program(
        context,
        "ARG p=x y\nWORKDIR /srv/a b\nUSER www\nENV E=$HOME/'q'\nENV H=\\$lit $p\nPKG nginx $p\n"
        'SYSRC a="b c"\nSERVICE nginx start\nCMD echo "$p" \'it\'\nRUN prog "a b" $p\n',
    )
    assert host.run_all(compiled) == [
        "jexec|-l|build-web|mkdir|-p|--|/srv/a b",
        "pkg|-j|build-web|install|-y|--|nginx|x y",
        "jexec|-l|build-web|sysrc|a=b c",
        "jexec|-l|build-web|service|nginx|start",
        'jexec|-l|build-web|sh|-c|cd -- "$0" && exec "$@"|/|env|p=x y|sh|-c|echo "$p" \'it\'',
        "jexec|-l|build-web|su|-l|www|-c|sh -s",
        "cd '/srv/a b'; env \"E=$HOME/'q'\" 'H=$lit x y' prog 'a b' '$p'",
    ]


def test_here_documents_and_quotes_over_lines_arrive_as_written(host: Host, context: Path) -> None:
    compiled = program(
        context,
        "RAW cat >out <<'END'\nRAW   $x # kept\nRAW\nRAW END\nRAW echo 'one\nRAW # two' >>out\n"
        "RAW if false; then\nENV A=1\nRAW fi\nRAW set -C\nRAW mark done\n",
    )
    assert [len(segment.instructions) for segment in compiled.segments] == [4, 2, 3, 1, 1]
    assert host.run_all(compiled) == ["mark|done"]
    assert (context / "out").read_text() == "  $x # kept\n\none\n# two\n"


def test_a_failing_command_stops_its_segment(host: Host, context: Path) -> None:
    compiled = program(context, "CMD good\nCMD bad\n")
    assert host.run(compiled.segments[0].script, FAIL="bad").returncode == 0
    assert host.run(compiled.segments[1].script, FAIL="bad").returncode == 3


def test_a_required_argument_without_a_value_ends_the_script_with_65(host: Host, context: Path) -> None:
    compiled = program(context, "ARG a\nRAW mark 1\n")
    assert host.run(compiled.segments[0].script).returncode == 65


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("file", "/etc/name", {"etc/name": "data"}),
        ("file", "/etc", {"etc/file": "data"}),
        ("file", "/etc/", {"etc/file": "data"}),
        ("usr", "/", {"usr/local/x": "x"}),
        ("usr", "/new", {"new/local/x": "x"}),
        ("usr", "/etc", {"etc/usr/local/x": "x"}),
        ("usr/", "/etc", {"etc/local/x": "x"}),
        ("usr/local/x", "/etc", {"etc/x": "x"}),
        (".", "/etc", {"etc/file": "data", "etc/usr/local/x": "x"}),
    ],
)
def test_copy_places_files_as_cp_a_would(
    host: Host, context: Path, source: str, target: str, expected: dict[str, str]
) -> None:
    (context / "usr/local").mkdir(parents=True)
    (context / "usr/local/x").write_text("x")
    (context / "file").write_text("data")
    compiled = program(context, f"COPY {source} {target}\n")
    (segment,) = compiled.segments
    (staged,) = segment.sources
    (host.folder / "sources").mkdir()
    parent = context / staged.path if not staged.name else (context / staged.path).parent
    (host.folder / "sources" / str(staged.ordinal)).symlink_to(parent)
    jail = host.folder / "jail"
    (jail / "etc").mkdir(parents=True)
    place = segment.script.split("reconciler_place='")[1].split("'\n")[0]
    host.tool("jexec", JAIL_ROOT)
    done = host.run(segment.script, JAIL=str(jail), PLACE=place)
    assert done.returncode == 0, done.stderr
    found = {name: (jail / name).read_text() for name in expected}
    assert found == expected


def test_copy_of_a_missing_source_fails(host: Host, context: Path) -> None:
    compiled = program(context, "COPY nothing /etc\n")
    assert [found.code for found in compiled.warnings] == ["copy-missing"]
    assert host.run(compiled.segments[0].script).returncode == 1


def test_a_start_stage_reads_its_arguments_and_goes_on_after_an_error(host: Host, context: Path) -> None:
    compiled = program(context, "STAGE start\nARG p=1\nCMD bad\nSYSRC k=$p\n")
    done = host.run(compiled.stages["start"], "--p", "9", FAIL="bad")
    assert done.returncode == 0, done.stderr
    assert host.recorded()[-1] == "jexec|-l|build-web|sysrc|k=9"
    assert host.run(compiled.stages["start"], "--nope", "9").returncode == 64
    assert host.run(compiled.stages["start"], "--p", "").returncode == 65


def test_a_jail_that_is_being_created_is_not_entered(host: Host, context: Path) -> None:
    host.tool("jls", "#!/bin/sh\nexit 1\n")
    done = host.run(program(context, "STAGE create\nCMD x\n").stages["create"])
    assert (done.returncode, host.recorded()) == (0, [])
    assert "CMD is skipped" in done.stderr


LATER = """STAGE start
ARG p=1
ARG q?=old
ENV B=env
SYSRC k=$p
SYSRC q=$q
RUN prog
STAGE custom:x
ARG p=1
RUN prog
STAGE build
OPTION start_args=p=7
OPTION start_args='q=two words'
OPTION start_env=B=later C=c
OPTION run_args=p=
"""


def test_options_give_later_stages_their_arguments_unless_a_run_gives_some(host: Host, context: Path) -> None:
    stages = program(context, LATER).stages
    done = host.run(stages["start"])
    assert done.returncode == 0, done.stderr
    assert [line for line in host.recorded() if "|sysrc|" in line] == [
        "jexec|-l|build-web|sysrc|k=7",
        "jexec|-l|build-web|sysrc|q=two words",
    ]
    host.record.unlink()
    host.run(stages["start"], "--p", "9")
    assert [line for line in host.recorded() if "|sysrc|" in line] == [
        "jexec|-l|build-web|sysrc|k=9",
        "jexec|-l|build-web|sysrc|q=old",
    ]
    assert host.run(stages["custom:x"]).returncode == 65
    assert host.run(stages["custom:x"], "--p", "1").returncode == 0


def test_options_give_run_in_later_stages_its_environment_after_every_env(host: Host, context: Path) -> None:
    compiled = program(context, LATER)
    stages = compiled.stages
    host.run(stages["start"])
    inside = "\n".join(host.recorded())
    assert inside.index("B=env") < inside.index("B=later") < inside.index("C=c") < inside.index("prog")
    assert "B=later" not in stages["custom:x"]
    assert all("B=later" not in segment.script for segment in compiled.segments)


@pytest.mark.parametrize("option", ["start_env=A=", "start_args=1=2", "stop_env=x", "run_args"])
def test_a_value_for_a_later_stage_that_has_no_name_is_refused_at_its_line(context: Path, option: str) -> None:
    with pytest.raises(MakejailError) as error:
        program(context, f"CMD x\nOPTION {option}\n")
    (found,) = error.value.diagnostics
    assert (found.code, error.value.status, found.span and found.span.line) == ("environment", 65, 2)
