"""What `reconcile package` does with the store of a pool, and with folders and web servers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import typer

from reconciler.cache import CHUNK, Cache, default_folder, hash_stream
from reconciler.cli import session
from reconciler.cli.paper import size, table
from reconciler.download import PATIENT, DownloadError, digest_of, fetch_bytes, upload
from reconciler.model.diagnostic import Diagnostic, FetchError, HostError, SpecError
from reconciler.packages.inspect import checked_digest, opened, parse_digest
from reconciler.packages.signature import SUFFIX as SIGNATURE
from reconciler.packages.signature import Trust
from reconciler.packages.store import Note, Store
from reconciler.packages.supply import keep
from reconciler.packages.verify import LARGEST, VerifiedPackage, kept, signature_beside, source_url, verify
from reconciler.packages.write import becoming, unwritable
from reconciler.reconcile import Session
from reconciler.spec.fields import parse_size
from reconciler.url import redact
from reconciler.wraps import retry

DIGEST = ".sha256"
_SHORTEST = 8
_ENDS = (".tar.xz", ".tar.zst", ".txz", ".tzst")


@dataclass(frozen=True, slots=True)
class Kept:
    """A package in the store."""

    sha256: str
    note: Note


def pool(specs: Path | None, host: str, labels: dict[str, str], *, change: bool) -> tuple[Session, Store]:
    """The pool that is meant, and its store. Raises HostError (code `store-absent`) where there is no pool yet."""
    run = session.pool_session((session.changing if change else session.reading)(host), specs, labels)
    row = run.seen.rows.get("")
    if row is None or not row.mounted:
        raise HostError(
            Diagnostic(
                "store-absent",
                "The host has no pool to keep packages in",
                f"{run.place.pool} is not there, or is not mounted.",
                "reconcile apply makes it.",
            )
        )
    return run, Store(run.host, run.place.pool, run.place.mountpoint)


def trust_of(run: Session) -> Trust:
    """Whose packages the host believes."""
    policy = run.document.policy.packages
    return Trust(policy.trusted_keys, policy.require_signature)


def cache() -> Cache:
    """What was downloaded here."""
    return Cache(default_folder(os.environ))


def named(store: Store, word: str) -> Kept:
    """The one package of the store with this name, name and version, file name, or beginning of its SHA256.

    Raises SpecError (code `unknown-package`, `ambiguous-package`).
    """
    all_ = store.all()
    bare = word.removeprefix("sha256:")
    found = [
        Kept(sha256, note)
        for sha256, note in all_.items()
        if word in (note.file, note.name, f"{note.name}-{note.version}")
        or (len(bare) >= _SHORTEST and sha256.startswith(bare))
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        detail = f"The store has no package {word!r}."
        raise SpecError(Diagnostic("unknown-package", "Unknown package", detail, "reconcile package list"))
    every = ", ".join(f"{one.note.file} ({one.sha256[:12]})" for one in found)
    hint = "Name one by the beginning of its SHA256."
    raise SpecError(Diagnostic("ambiguous-package", "Several packages fit", f"{word!r} is {every}.", hint))


def fetched(store: Store, one: Kept, trust: Trust) -> VerifiedPackage:
    """A package of the store, here, and verified once more. Raises FetchError, HostError."""
    here = cache()
    store.get(one.sha256, here)
    found = kept(here, one.sha256, one.note.file, trust=trust)
    if found is None:
        raise SpecError(Diagnostic("unknown-package", "Unknown package", f"{one.note.file} has just gone.", ""))
    return found


def pulled(source: str, digest: str, trust: Trust, largest: int = LARGEST) -> VerifiedPackage:
    """A package from a path or URL, verified. Without a digest, that of the `.sha256` beside it is taken.

    Raises FetchError: `package-without-digest-file` where there is neither.
    """
    url = source_url(source, Path.cwd())
    if not digest:
        try:
            digest = parse_digest(retry(lambda: fetch_bytes(url + DIGEST, limit=4096)), name_in(url), url + DIGEST)
        except DownloadError as error:
            if error.diagnostics[0].code != "mirror-not-found":
                raise
            raise FetchError(
                Diagnostic(
                    "package-without-digest-file",
                    "Nothing says which SHA256 the package should have",
                    f"There is no {redact(url)}{DIGEST}.",
                    "Give it: --digest SHA256, from who built the package.",
                )
            ) from error
    found = retry(lambda: verify(source, digest, Path.cwd(), cache(), trust=trust, largest=largest))
    retry(lambda: signature_beside(url, found.sha256, cache()))  # it goes along, whoever it is by
    return found


def size_named(word: str, option: str = "--max-size") -> int:
    """`512M` in bytes, 0 for none. Raises typer.BadParameter."""
    try:
        return parse_size(word) if word else 0
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from error


def name_in(url: str) -> str:
    """The name of the file that a URL names."""
    return unquote(urlsplit(url).path).rpartition("/")[2]


def stored(store: Store, package: VerifiedPackage, source: str) -> None:
    """Keep a package. Raises HostError."""
    keep(package, store, name_in(source_url(source, Path.cwd())))


def place(package: VerifiedPackage, folder: Path, name: str, *, bare: bool = False) -> Path:
    """Put a package into a folder of this machine, with its digest and its signature beside it.

    The archive gets its name when it is whole, and never stands beside another's digest. Raises FetchError
    (`package-unwritable`).
    """
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with becoming(path) as file, open(package.path, "rb") as source:
            shutil.copyfileobj(source, file, CHUNK)
            file.seek(0)
            if hash_stream(file)[0] != package.sha256:
                raise OSError("what was written is not what was to be")
        for suffix, data in beside(package, name, bare=bare).items():
            path.with_name(name + suffix).write_bytes(data)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def beside(package: VerifiedPackage, name: str, *, bare: bool = False) -> Mapping[str, bytes]:
    """The small files that lie beside an archive, by what is put behind its name; the digest comes last."""
    found = {}
    signature = package.path.with_name(package.path.name + SIGNATURE)
    if signature.exists():
        found[SIGNATURE] = signature.read_bytes()
    found[DIGEST] = (package.sha256 if bare else f"{package.sha256}  {name}").encode() + b"\n"
    return found


def sent(package: VerifiedPackage, folder: str, name: str) -> str:
    """Put a package on a web server, read it back, and then its digest. Gives its URL. Raises FetchError."""
    url = f"{folder.rstrip('/')}/{name}"
    retry(lambda: upload(url, package.path))
    if (lies := retry(lambda: digest_of(url, package.size, PATIENT))) != package.sha256:
        detail = f"{redact(url)} has the SHA256 {lies} after it was put there, not {package.sha256}."
        raise FetchError(Diagnostic("upload-failed", "A file could not be put on a server", detail, "Try again."))
    for suffix, data in beside(package, name).items():
        small = cache().path(package.sha256, ".beside")
        cache().put(small, data)
        retry(lambda suffix=suffix, small=small: upload(url + suffix, small))  # type: ignore[misc]
        if retry(lambda suffix=suffix: fetch_bytes(url + suffix, limit=1 << 20)) != data:  # type: ignore[misc]
            detail = f"{redact(url)}{suffix} reads otherwise than it was written."
            raise FetchError(Diagnostic("upload-failed", "A file could not be put on a server", detail, "Try again."))
    return url


def here(path: Path) -> VerifiedPackage:
    """An archive of this machine, verified, with the digest that the file beside it says. Raises FetchError."""
    return pulled(str(path.absolute()), checked_digest(path), Trust())


def folder_of(destination: str) -> str:
    """The folder that a path or a file: URL names. Raises FetchError (`package-source`)."""
    return unquote(urlsplit(source_url(destination, Path.cwd())).path)


def archives(folder: Path) -> list[Path]:
    """What lies in a folder and may be packages, by name. Raises FetchError (`package-unreadable`)."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(_ENDS))
    except OSError as error:
        raise FetchError(
            Diagnostic(
                "package-unreadable", "The file of a package cannot be read", f"{folder}: {error}.", "Name a folder."
            )
        ) from error


def note_here(path: Path) -> Note:
    """What the manifest of an archive says, in the form of the store. Raises FetchError."""
    try:
        manifest = opened(path).manifest
    except FetchError as error:
        if error.diagnostics[0].code != "package-first-format":
            raise
        return Note(path.name, path.stat().st_size)
    signed = "yes" if path.with_name(path.name + SIGNATURE).exists() else ""
    return Note(
        path.name, path.stat().st_size, manifest.name, manifest.version, manifest.release, manifest.levels,
        manifest.arch, signed,
    )  # fmt: skip


def rows(notes: Mapping[str, Note]) -> Iterator[str]:
    """A table of packages by what is in its last column: digests, or nothing more than file names."""
    head = ["NAME", "VERSION", "FOR", "ARCH", "SIZE", "SIGNED", "FILE", "SHA256"]
    body = [
        [
            note.name or ("(pkg)" if note.file.endswith(".pkg") else "(first format)"),
            note.version or "-",
            f"{note.release} {note.levels}".strip() or "-",
            note.arch or "-",
            size(note.size),
            "yes" if note.signature else "no",
            note.file,
            sha256[:12],
        ]
        for sha256, note in sorted(notes.items(), key=lambda item: (item[1].name, item[1].file, item[0]))
    ]
    yield from table([head, *body])
