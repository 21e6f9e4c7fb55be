"""From a spec and a Makejail to the document as it takes effect, without any host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.effective import Effective, effective
from reconciler.programs import compile_all
from reconciler.spec.load import load
from reconciler.spec.select import select

HOST = 'kind: Host\nname: h\nmatch: {hostname: "*"}\nexternal: vtnet0\n'
Make = Callable[..., Effective]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(MAKEJAIL, SPEC)`: SPEC are further lines of the document of the jail web."""

    def made(makejail: str, spec: str = "release: 15.1-RELEASE", others: str = "", **files: str) -> Effective:
        (tmp_path / "web.makejail").write_text(makejail)
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        jail = f"kind: Jail\nname: web\n{spec}\nmakejail: {{file: web.makejail}}\n"
        (tmp_path / "fleet.yaml").write_text("---\n".join(one for one in (HOST, jail, others) if one))
        specs = load(tmp_path)
        selected = select(specs, "host")
        programs, _folders = compile_all(selected.jails)
        return effective(selected, programs, specs)

    return made
