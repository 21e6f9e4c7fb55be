"""Scripts have the effects observed from the original, in its order and with its exit status."""

from pathlib import Path
from typing import Any

import pytest

from reconciler.makejail.program import Given

from .cases import cases
from .test_segment_scripts import RECORDER, Host, program

# The jail's creation is no part of any script (run-option-failure). The others show through
# recorders of jexec, pkg and mark; code for the host itself does not.
HIDDEN = ("--local", "COPY", "OPTION bad")
SHOWN = [case for case in cases("run") if not any(text in case["makejail"] for text in HIDDEN)]


def _effect(effect: dict[str, Any]) -> list[str]:
    """The recorded words that an observed effect must end in."""
    if "mark" in effect:
        return ["mark", *effect["mark"]]
    match effect["instruction"]:
        case "CMD":
            return ["env", *effect["env"], "sh", "-c", effect["sh"]]
        case "PKG":
            return [*effect["argv"]]
        case "SYSRC":
            return ["sysrc", *effect["argv"]]
        case "RUN":
            words = [f"'{word}'" if "$" in word else word for word in effect["argv"]]
            return [f"cd {effect['cwd']}; env 'A=$lit 1' " + " ".join(words)]
    return []


@pytest.mark.parametrize("case", SHOWN, ids=[case["id"] for case in SHOWN])
def test_scripts_have_the_observed_effects(case: dict[str, Any], tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    host = Host(tmp_path / "host", context)
    host.tool("jexec", RECORDER)
    params, fail, status = case["params"], case.get("fail", ""), 0
    built = Given(dict(zip((name[2:] for name in params[::2]), params[1::2], strict=True)))
    compiled = program(context, case["makejail"], built if case["stage"] == "build" else None)
    if case["stage"] == "build":
        for segment in compiled.segments:
            status = status or host.run(segment.script, FAIL=fail).returncode
    else:
        status = host.run(compiled.stages[case["stage"]], *params, FAIL=fail).returncode
    effects = [effect for effect in case["effects"] if effect.get("instruction") != "OPTION"]
    recorded = [line for line in host.recorded() if not line.endswith("|sh -s")]
    assert len(recorded) == len(effects)
    for line, effect in zip(recorded, effects, strict=True):
        assert line.endswith("|".join(_effect(effect)))
    assert status == case["status"]
