"""Until when a release is supported: by its signed tag, else by a dated table, else unknown. Pure.

What cannot be looked up is never taken for supported. The table is what
https://www.freebsd.org/security/ and https://www.freebsd.org/security/unsupported/ said on TABLE_DATE; a
date in it says no more once it has passed than it did before: the release is at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal

from reconciler.model.diagnostic import FetchError
from reconciler.releases.tag import SignedTag
from reconciler.releases.version import parse_version

State = Literal["supported", "eol", "unknown"]
Source = Literal["tag", "table", ""]

TABLE_DATE = date(2026, 11, 22)
"""The day on which the table was right."""
TABLE: Mapping[str, str] = MappingProxyType({
    "15.1-RELEASE": "2027-03-31", "15.0-RELEASE": "2026-09-30",
    "14.5-RELEASE": "2027-06-30", "14.4-RELEASE": "2026-12-31", "14.3-RELEASE": "2026-06-30",
    "14.2-RELEASE": "2025-09-30", "14.1-RELEASE": "2025-03-31", "14.0-RELEASE": "2024-09-30",
    "13.5-RELEASE": "2026-04-30", "13.4-RELEASE": "2025-06-30", "13.3-RELEASE": "2024-12-31",
    "13.2-RELEASE": "2024-06-30", "13.1-RELEASE": "2023-07-31", "13.0-RELEASE": "2022-08-31",
    "12.4-RELEASE": "2023-12-31", "12.3-RELEASE": "2023-03-31", "12.2-RELEASE": "2022-03-31",
    "12.1-RELEASE": "2021-01-31", "12.0-RELEASE": "2020-02-29",
    "11.4-RELEASE": "2021-09-30", "11.3-RELEASE": "2020-09-30", "11.2-RELEASE": "2019-10-31",
    "11.1-RELEASE": "2018-09-30", "11.0-RELEASE": "2017-11-30",
    "10.4-RELEASE": "2018-10-31", "10.3-RELEASE": "2018-04-30", "10.2-RELEASE": "2016-12-31",
    "10.1-RELEASE": "2016-12-31", "10.0-RELEASE": "2015-02-28", "9.3-RELEASE": "2016-12-31",
})  # fmt: skip
BRANCHES: Mapping[int, str] = MappingProxyType({
    15: "2029-12-31", 14: "2028-11-30", 13: "2026-04-30", 12: "2023-12-31", 11: "2021-09-30", 10: "2018-10-31",
    9: "2016-12-31",
})  # fmt: skip
"""Ends of the stable branches, by major version."""


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a release still gets security patches. `until` is its last supported day, None when unknown.

    `source` says who told: the signed `tag`, the project's `table`, "" for nobody; `as_of` on which day.
    """

    state: State
    until: date | None = None
    source: Source = ""
    as_of: date | None = None

    def __str__(self) -> str:
        """For people: `supported until 2027-03-31`, `EOL since 2026-09-30`, `unknown`."""
        match self.state:
            case "supported":
                return f"supported until {self.until}"
            case "eol":
                return f"EOL since {self.until}"
            case "unknown":
                return "unknown"


UNKNOWN = Support("unknown")


def support(release: str, today: date, tag: SignedTag | None = None) -> Support:
    """The support of `15.1-RELEASE` (a patch level does not matter) on a day.

    `tag` is the verified tag of that release where one is known, however old: only ends of life that were
    signed later can differ. Names that are none of FreeBSD's are unknown, and so are releases that neither tells.
    """
    if tag is not None:
        return _judged(tag.tag.eol_date, today, "tag", date.fromisoformat(tag.seen))
    try:
        version = parse_version(release)
    except FetchError:
        return UNKNOWN
    if version.vendor:
        return UNKNOWN
    until = TABLE.get(version.release) or (BRANCHES.get(version.major) if version.branch == "STABLE" else None)
    if until is None:
        return UNKNOWN
    return _judged(date.fromisoformat(until), today, "table", TABLE_DATE)


def _judged(until: date, today: date, source: Source, as_of: date) -> Support:
    return Support("supported" if today <= until else "eol", until, source, as_of)
