"""The contracts between parts hold, and each of them bites when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BREAKS = {
    "imports flow down": ("reconciler/model/value.py", "import reconciler.kinds.jail"),
    "the vocabulary imports nothing of ours and no third party": ("reconciler/model/value.py", "import pydantic"),
    "the engine knows no driver": ("reconciler/kinds/jail.py", "import reconciler.hosts.open"),
    "the sandbox and the FreeBSD driver are strangers": (
        "reconciler/hosts/sandbox/answer.py",
        "import reconciler.hosts.freebsd.zfs",
    ),
    "kinds are strangers to each other": ("reconciler/kinds/mount.py", "import reconciler.kinds.limits"),
    "one door for each library": ("reconciler/plan.py", "import httpx"),
    "what the agent shows is worked out without the libraries that show it": (
        "reconciler/agent/page_view.py",
        "import jinja2",
    ),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over a copy of the package."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "reconciler", folder / "reconciler", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_every_contract_is_kept(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


def test_every_contract_bites(copy: Path) -> None:
    """All broken at once, as one analysis takes seconds: each must be named as broken."""
    kept = {}
    for file, line in BREAKS.values():
        path = copy / file
        kept.setdefault(path, path.read_text())
        path.write_text(
            path.read_text().replace(
                "from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n", 1
            )
        )
    try:
        done = lint(copy)
    finally:
        for path, text in kept.items():
            path.write_text(text)
    assert done.returncode != 0
    for name in BREAKS:
        assert f"{name} BROKEN" in done.stdout, name
