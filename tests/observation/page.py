"""docs/observation.md, read: the fleet of its examples and its rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/observation.md"


@dataclass(frozen=True)
class Row:
    """One row: `section` is its heading; `change` is what an operator types, "" for what is not observed."""

    section: str
    field: str
    observed: str
    change: str
    says: str

    @property
    def name(self) -> str:
        """For people who read the tests' output."""
        return f"{self.section} {self.field}"


def fleet_text() -> str:
    """The specs of the page."""
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def rows() -> list[Row]:
    """Every row of every table."""
    found, section = [], ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] not in ("Field", "---"):
            field, observed, change, says = cells
            found.append(Row(section, field.strip("`"), observed, change.strip("`"), says))
    return found
