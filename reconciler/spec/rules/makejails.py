"""makejail: one text each, in a file that is in the repository."""

from __future__ import annotations

from typing import Any

from reconciler.spec.location import missing
from reconciler.spec.specset import Sourced
from reconciler.spec.view import Found, View, error


def check(view: View) -> Found:
    """All rules about where a Makejail stands."""
    everyone: tuple[Sourced[Any], ...] = (*view.jails, *view.packages)
    for item in everyone:
        makejail = item.doc.makejail
        if makejail is None:
            continue
        if (makejail.file is None) == (makejail.text is None):
            given = "neither `file` nor `text`" if makejail.file is None else "both `file` and `text`"
            detail = f"The makejail of `{item.name}` has {given}."
            hint = "Write one: makejail: {file: makejails/web.makejail}, or the text itself under `text: |`."
            yield error(item, ("makejail",), "makejail-source", "Makejail needs one text", detail, hint)
        elif makejail.file is not None:
            yield from missing(view, item, ("makejail", "file"), makejail.file)


CHECK = check
