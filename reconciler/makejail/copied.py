"""OPTION file, files and copydir: files of a folder that are copied into the jail before anything else is built.

Each becomes a COPY of the same path below the folder, its parents made first, so that it is part of a layer and its
content part of the layer's digest. `files` names a list, one path a line.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from reconciler.makejail.instructions import instructions
from reconciler.makejail.problem import DATA, problem
from reconciler.makejail.stages import BUILD
from reconciler.makejail.step import Line, State, Step
from reconciler.makejail.wishes import Given
from reconciler.model.diagnostic import Span


def copied(options: Sequence[Given], read: Mapping[str, bytes | None], root: str) -> list[Step]:
    """The steps that copy; `read` are the lists. Raises MakejailError 65 for a path that cannot be copied."""
    folder = next((one.value for one in reversed(options) if one.name == "copydir" and one.value), None)
    found: list[Step] = []
    for option, path in _paths(options, read):
        if folder is None or ".." in path.split("/") or not path.strip("/") or set(path + folder) & set("\"'\\$`\n"):
            detail = f"OPTION {option.name}: {path!r} " + (
                "needs a folder." if folder is None else "is no plain path in a jail."
            )
            hint = "Add OPTION copydir=FOLDER." if folder is None else "Use COPY in the Makejail."
            raise problem(DATA, "option-file", "A file of an OPTION cannot be copied", detail, hint, option.span)
        inside = "/" + path.strip("/")
        found.append(_step("WORKDIR", posixpath.dirname(inside), option.span, root))
        found.append(_step("COPY", f'"{folder}{inside}" "{inside}"', option.span, root))
    return found


def _paths(options: Sequence[Given], read: Mapping[str, bytes | None]) -> Iterator[tuple[Given, str]]:
    for option in options:
        if option.name == "file":
            yield option, option.value or ""
        elif option.name == "files":
            data = read.get(option.value or "")
            if data is None:
                detail = f"{option.value} is not there."
                raise problem(DATA, "option-file", "A file of an OPTION cannot be copied", detail, span=option.span)
            for line in data.decode("utf-8", "replace").splitlines():
                if line.strip():
                    yield option, line.strip()


def _step(name: str, rest: str, span: Span, root: str) -> Step:
    step = instructions()[name].compile(Line(BUILD, name, rest, span, cwd=root, root=root), State())
    if step is None:
        raise TypeError(f"{name} compiles to nothing")
    return step
