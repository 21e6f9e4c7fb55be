"""A set of documents with their places: what the rest of the product takes from the specs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from reconciler.model.diagnostic import Diagnostic, Span

TYPE_CHECKING = False
if TYPE_CHECKING:  # documents are built when asked for; naming their types must not load pydantic
    from reconciler.spec.document import Host, Jail, Package, Release
    from reconciler.spec.yaml import Place

D = TypeVar("D")
Path_ = tuple[str | int, ...]
_NOTHING: Mapping[Path_, Span] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Source:
    """One file: its name as the user typed it, where it lies (absolute), what it holds, and its SHA256.

    `modified` is when it was written, in seconds since 1970: a hint, never a reason.
    """

    file: str
    location: str
    data: bytes = field(repr=False)
    sha256: str
    modified: float = 0.0

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.location)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The places of each document; read when first asked for."""
        from reconciler.spec.yaml import places

        return places(self.data, self.file)


@dataclass(frozen=True, eq=False)
class Sourced(Generic[D]):
    """A document and where it stands. `doc` is built when first asked for.

    `raw` is what the user wrote, as plain values; `index` counts the documents of the file. `origins` are the
    places of those values of `raw` that stand elsewhere, in a Makejail: by path. `behind` is what `make` begins with.
    """

    source: Source
    index: int
    raw: Mapping[str, Any] = field(repr=False)
    make: Callable[[], D] = field(repr=False)
    origins: Mapping[Path_, Span] = field(default_factory=lambda: _NOTHING, repr=False)
    behind: Sourced[D] | None = field(default=None, repr=False)

    @cached_property
    def doc(self) -> D:
        """The document, validated."""
        return self.make()

    def says(self, key: str) -> bool:
        """Whether the user wrote a value for this key of the document; without building it."""
        return self.raw.get(key) is not None

    def forget(self) -> None:
        """Let go of the document and of what it was made from; they are made again when they are asked for."""
        self.__dict__.pop("doc", None)
        if self.behind is not None:
            self.behind.forget()

    def known(self, doc: D) -> Sourced[D]:
        """Hold a document that `make` would make; gives back itself."""
        self.__dict__["doc"] = doc
        return self

    @property
    def file(self) -> str:
        """The file as the user typed it."""
        return self.source.file

    @property
    def name(self) -> str:
        """The document's name, without building it."""
        return str(self.raw.get("name", ""))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The Host documents it is for; empty means all. Without building it."""
        hosts = self.raw.get("hosts")
        return tuple(hosts) if isinstance(hosts, list | tuple) else ()

    def place(self, path: Path_ = ()) -> Span:
        """Where the value at `path` begins, such as ("network", "vnet", "address") or ("volumes", 0).

        What the user did not write has the place of the nearest part that they did.
        """
        return self._elsewhere(path) or locate(self.source, self.index, path)

    def key_place(self, path: Path_) -> Span:
        """Where the key that ends `path` begins."""
        return self._elsewhere(path) or locate(self.source, self.index, path, key=True)

    def _elsewhere(self, path: Path_) -> Span | None:
        """The place in a Makejail of the value at `path`, or of the nearest part around it that stands in one."""
        paths = (path[:end] for end in range(len(path), 0, -1)) if self.origins else ()
        return next((self.origins[part] for part in paths if part in self.origins), None)

    def resolve(self, relative: str) -> Path:
        """A path in this document, relative to its file. It is not looked at: `files.py` checks it."""
        return self.source.path.parent / relative

    def with_doc(self, make: Callable[[], D]) -> Sourced[D]:
        """The same places with another document, such as one that has its host's defaults."""
        return Sourced(self.source, self.index, self.raw, make, self.origins, self)


def locate(source: Source, index: int, path: Path_, *, key: bool = False) -> Span:
    """The place of a value (or of its key) in a document of a file; the nearest there is."""
    if index >= len(source.places):
        return Span(source.file, 1, 1)
    place = source.places[index]
    line, column = place.line, place.column
    for number, part in enumerate(path):
        child = place.children.get(part)
        if child is None:
            break
        line, column = child.line, child.column
        if key and number == len(path) - 1 and isinstance(part, str):
            line, column = place.keys[part]
        place = child
    return Span(source.file, line, column)


@dataclass(frozen=True)
class SpecSet:
    """Everything that a file or folder says. Valid: `load` raises SpecError otherwise.

    Mappings go by name. Where several hosts have documents of one name (`hosts:` keeps them apart), the
    later ones have the key `name@host`; `select` gives one host's documents, always by plain name.
    `digest` is SHA256 over names and bytes of all files, in hex; `warnings` are what lint has to say.
    `area` is the folder that relative paths may not leave.
    """

    root: Path
    area: Path
    digest: str
    sources: tuple[Source, ...] = field(repr=False)
    jails: Mapping[str, Sourced[Jail]]
    releases: Mapping[str, Sourced[Release]]
    packages: Mapping[str, Sourced[Package]]
    hosts: Mapping[str, Sourced[Host]]
    warnings: tuple[Diagnostic, ...] = ()
    is_folder: bool = True

    def documents(self) -> Iterator[tuple[str, Sourced[Any]]]:
        """Every document with its kind, by kind, then in the order of files."""
        for kind, group in (
            ("Host", self.hosts),
            ("Release", self.releases),
            ("Package", self.packages),
            ("Jail", self.jails),
        ):
            for item in group.values():
                yield kind, item
