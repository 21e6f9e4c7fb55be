"""Scripts have the effects observed from the original, in its order and with its exit status."""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.makejail.program import Given, Program

from .cases import cases, ids
from .test_segment_scripts import Host, program

# Writes name, folder and words as one line of JSON; jexec's input, a script for su, as one more word.
RECORDER = """#!/usr/bin/python3
import json, os, sys
words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
if words[0] == "jexec" and words[-1] == "sh -s":
    words.append(sys.stdin.read())
elif words[0] == "jexec" and "-a" in words:
    sys.stdin.buffer.read()
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps([os.getcwd(), *words]) + "\\n")
fail = os.environ["FAIL"]
sys.exit(3 if fail and fail in " ".join(words) else 0)
"""


def _expected(effect: dict[str, Any], context: Path) -> tuple[str | None, list[str]]:
    """The folder, where it matters, and the words that a recorded command must end in."""
    folder = str(context) if effect.get("cwd") == "${DIR}" else None
    if "mark" in effect:
        return folder, ["mark", *effect["mark"]]
    match effect["instruction"]:
        case "CMD":
            return folder, ["env", *effect["env"], "sh", "-c", effect["sh"]]
        case "PKG":
            return folder, ["install", *effect["argv"][1:]]
        case "SYSRC":
            return folder, ["sysrc", *effect["argv"]]
        case "COPY":
            return None, ["sh", "-a", effect["src"], effect["dst"].removeprefix("«APPJAIL_JAILDIR»")]
        case "RUN":
            words = [f"'{word}'" if "$" in word else word for word in effect["argv"]]
            return None, [f"cd {effect['cwd']}; env 'A=$lit 1' " + " ".join(words) + "\n"]
    raise AssertionError(effect)


def _build(host: Host, compiled: Program, case: dict[str, Any]) -> int:
    """Make the jail with its options, then run the segments, until something fails."""
    options = [one.name if one.value is None else f"{one.name}={one.value}" for one in compiled.options]
    assert case["effects"][0] == {"instruction": "OPTION", "create": "quick", "options": options}
    fail = case.get("fail", "")
    if fail and any(fail in option for option in options):
        return 3
    for segment in compiled.segments:
        if status := host.run(segment.script, FAIL=fail).returncode:
            return status
    return 0


@pytest.mark.parametrize("case", cases("run"), ids=ids("run"))
def test_scripts_have_the_observed_effects(case: dict[str, Any], tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    for name in ("a", "b c"):
        (context / name).touch()
    host = Host(tmp_path / "host", context)
    for name in ("jexec", "pkg", "mark", "env"):
        host.tool(name, RECORDER)
    params, fail = case["params"], case.get("fail", "")
    given = Given(dict(zip((name[2:] for name in params[::2]), params[1::2], strict=True)))
    compiled = program(context, case["makejail"], given if case["stage"] == "build" else None)
    if case["stage"] == "build":
        status = _build(host, compiled, case)
    else:
        status = host.run(compiled.stages[case["stage"]], *params, FAIL=fail).returncode
    assert status == case["status"]
    effects = [effect for effect in case["effects"] if effect.get("instruction") != "OPTION"]
    recorded = [json.loads(line) for line in host.recorded()]
    assert len(recorded) == len(effects)
    for (folder, *words), effect in zip(recorded, effects, strict=True):
        where, wanted = _expected(effect, context)
        assert words[-len(wanted) :] == wanted
        assert where in (None, folder)
