"""pkg(8) with repositories of its own (`-R DIR`), as base systems made of packages are worked with: update, rquery,
fetch, install and upgrade, on the host, inside a jail (`-j`) or below a folder (`--rootdir`); and `pkg repo`.

Its settings are JSON, which pkg's own format holds. What is installed in a root is recorded where pkg.py does it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from reconciler.hosts.sandbox import base_client, base_mirror, beneath, jailtable, update_client
from reconciler.hosts.sandbox.answer import Answer, Refusal, reason
from reconciler.hosts.sandbox.base_client import Row
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.mounts import Place
from reconciler.model.command import Command, Completed

RECORD = "var/db/pkg/local.sqlite"
"""Where a root says what is installed in it: the real one's name, one JSON object in a line."""
_VALUED = ("-j", "-o", "-R", "-C", "-r", "-c", "--rootdir", "--repo-conf-dir", "--config")


@dataclass(slots=True)
class Run:
    """One invocation. `top` is what its paths are relative to (a jail's root), `root` the tree that is filled."""

    machine: Machine
    answer: Answer
    repos: str = ""
    top: str = ""
    root: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        """A file by its path as the caller sees it."""
        try:
            place = self.machine.place(f"{self.top}{path}", follow=False, write=False)
            return beneath.read(place.tree, place.inside)
        except OSError:
            return None

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file, with the folders above it; a link on the way is refused."""
        self.folder(path.rpartition("/")[0])
        place = self._place(path)
        beneath.write(place.tree, place.inside, data, mode & 0o777 | 0o600)
        sidecar = self.machine.sidecar(place)
        sidecar.drop(place.inside)
        sidecar.chmod(place.inside, mode)
        sidecar.flush()

    def folder(self, path: str) -> None:
        """Make a folder and those above it."""
        done = ""
        for part in path.strip("/").split("/"):
            done = f"{done}/{part}"
            place = self._place(done)
            with suppress(FileExistsError):
                os.mkdir(place.real)

    def remove(self, path: str) -> None:
        """Remove a file; fine where there is none."""
        place = self._place(path)
        with suppress(FileNotFoundError):
            os.unlink(place.real)
            self.machine.sidecar(place).drop(place.inside)

    def names(self, folder: str) -> list[str]:
        """The names in a folder; none where there is none."""
        try:
            return sorted(os.listdir(self.machine.resolve(f"{self.top}{folder}", write=False)))
        except OSError:
            return []

    def _place(self, path: str) -> Place:
        full = f"{self.top}{path}"
        place = self.machine.place(full, follow=False)
        if place.path != full:
            raise OSError(errno.ELOOP, "Too many levels of symbolic links", path)
        return place

    @property
    def database(self) -> str:
        """The folder of catalogues."""
        return self.settings.get("PKG_DBDIR", f"{self.root}/var/db/pkg")

    def installed(self) -> dict[str, Row]:
        """What the root says that it holds, by name."""
        lines = (self.read(f"{self.root}/{RECORD}") or b"").splitlines()
        return {str(row["name"]): row for row in map(json.loads, lines)}

    def record(self, rows: Mapping[str, Row]) -> None:
        """Say what the root holds."""
        self.write(f"{self.root}/{RECORD}", b"".join(json.dumps(rows[n]).encode() + b"\n" for n in sorted(rows)))


def asks_for(words: list[str]) -> bool:
    """Whether these arguments are for this simulation: they name repositories, or make one.

    What follows the verb is the verb's own: `search -R` has nothing to do with repositories.
    """
    at = 0
    while at < len(words) and words[at].startswith("-"):
        if words[at] in ("-R", "--repo-conf-dir"):
            return True
        at += 2 if words[at] in _VALUED else 1
    return words[:1] == ["repo"]


def answered(machine: Machine, command: Command) -> Completed:
    """Answer on the host."""
    run = Run(machine, Answer())
    try:
        words = _options(run, list(command.argv[1:]))
        verb, rest = (words[0], words[1:]) if words else ("", [])
        if verb not in _VERBS:
            raise Refusal(f"Unknown command: {verb}", 64)
        with machine.state.transaction():
            _VERBS[verb](run, rest)
    except Refusal as refusal:
        run.answer.warn("\n".join(f"pkg: {line}" for line in refusal.message.splitlines()), refusal.status)
    except OSError as error:
        run.answer.warn(f"pkg: {error.filename or ''}: {reason(error)}")
    return run.answer.completed(command)


def _options(run: Run, words: list[str]) -> list[str]:
    """Take the options that stand before the verb."""
    while words and words[0].startswith("-"):
        word = words.pop(0)
        value = words.pop(0) if word in _VALUED and words else ""
        if word == "-j":
            with run.machine.state.reading():
                found = jailtable.find(run.machine, value)
            if found is None:
                raise Refusal(jailtable.missing(value))
            run.top = str(found["values"]["path"]).rstrip("/")
        elif word in ("-R", "--repo-conf-dir"):
            run.repos = value
        elif word in ("-r", "--rootdir"):
            run.root = value.rstrip("/")
        elif word == "-o":
            name, _, text = value.partition("=")
            run.settings[name] = text
    return words


def _split(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """The options of a verb, and its operands."""
    given: dict[str, str] = {}
    while words and words[0].startswith("-") and words[0] != "--":
        word, words = words[0], words[1:]
        if word in ("-r", "-o"):
            given[word], words = words[0], words[1:]
        else:
            given[word] = ""
    return given, words[1:] if words[:1] == ["--"] else words


def _configured(run: Run, only: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in run.names(run.repos):
        for repository, said in json.loads(run.read(f"{run.repos}/{name}") or b"{}").items():
            if said.get("enabled", True) and only in ("", repository):
                yield repository, said


def _get(run: Run, url: str) -> update_client.Get:
    """What gives the files of a repository; nothing for a host that nobody answers for."""
    parts = urlsplit(url.removeprefix("pkg+"))
    if parts.scheme == "file":
        return lambda name: run.read(f"{parts.path}/{name}")
    if (parts.hostname or "").startswith(("127.", "localhost")):
        return update_client.over_http(f"{parts.netloc}{parts.path}")
    served = run.machine.directory / "servers" / (parts.hostname or "-")

    def get(name: str) -> bytes | None:
        try:
            return beneath.read(served, f"{parts.path.strip('/')}/{name}")
        except OSError:
            return None

    return get


def _update(run: Run, words: list[str]) -> None:
    given, _ = _split(words)
    found = list(_configured(run, given.get("-r", "")))
    if not found:
        raise Refusal("No repositories are enabled.")
    for name, said in found:
        run.answer.say(f"Updating {name} repository catalogue...")
        trusted = _trusted(run, said["fingerprints"]) if said["signature_type"] == "fingerprints" else None
        rows = base_client.catalogue(_get(run, said["url"]), name, trusted)
        run.write(f"{run.database}/repos/{name}/db", json.dumps(rows).encode())
        run.answer.say(f"{name} repository update completed. {len(rows)} packages processed.")


def _trusted(run: Run, folder: str) -> frozenset[str]:
    """Fingerprints that count: pkg looks for them below the root that it works in."""
    both = {
        kind: {base_client.fingerprint(run.read(f"{run.root}{folder}/{kind}/{name}") or b"") for name in names}
        for kind in ("trusted", "revoked")
        for names in (run.names(f"{run.root}{folder}/{kind}"),)
    }
    return frozenset(both["trusted"] - both["revoked"] - {""})


def _offered(run: Run, words: Mapping[str, str]) -> dict[str, Row]:
    """The catalogues as they were fetched."""
    found: dict[str, Row] = {}
    for name, said in _configured(run, words.get("-r", "")):
        data = run.read(f"{run.database}/repos/{name}/db")
        if data is None:
            raise Refusal(f"Repository {name} cannot be opened. 'pkg update' required")
        found |= {row["name"]: {**row, "url": said["url"]} for row in json.loads(data)}
    return found


def _query(run: Run, words: list[str]) -> None:
    _, operands = _split(words)
    for name, row in sorted(run.installed().items()):
        run.answer.say(operands[0].replace("%n", name).replace("%v", row["version"]).replace("\\t", "\t"))


def _rquery(run: Run, words: list[str]) -> None:
    given, operands = _split(words)
    for row in _offered(run, given).values():
        for need in row["needs"] if "%dn" in operands[0] else [""]:
            text = operands[0].replace("%dn", need).replace("%n", row["name"]).replace("%v", row["version"])
            run.answer.say(text.replace("\\t", "\t"))


def _fetch(run: Run, words: list[str]) -> None:
    given, names = _split(words)
    offered = _offered(run, given)
    for name in names:
        if name not in offered:
            raise Refusal(f"No packages matching '{name}' have been found in the repositories")
        row = offered[name]
        run.write(f"{given['-o']}/{row['repopath']}", base_client.package(_of(run, row), row))
        run.answer.say(f"Fetching {name}-{row['version']}: done")


def _of(run: Run, row: Row) -> update_client.Get:
    return _get(run, row["url"])


def _repo(run: Run, words: list[str]) -> None:
    folder = words[0]
    rows = []
    for name in run.names(f"{folder}/All"):
        data = run.read(f"{folder}/All/{name}") or b""
        manifest = json.loads(base_client.unpacked(data)["+COMPACT_MANIFEST"])
        rows.append(base_mirror.row(manifest, f"All/{name}", data))
    if not rows:
        raise Refusal("No package files have been found")
    for name, data in base_mirror.catalogue(rows, None).items():
        run.write(f"{folder}/{name}", data)


def _install(run: Run, words: list[str]) -> None:
    given, names = _split(words)
    _refresh(run, given)
    offered, waiting, wanted = _offered(run, given), list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in offered:
            raise Refusal(f"No packages available to install matching '{name}' have been found in the repositories")
        if name not in wanted:
            wanted.add(name)
            waiting += offered[name]["needs"]
    _bring(run, [offered[name] for name in sorted(wanted)], names)


def _upgrade(run: Run, words: list[str]) -> None:
    given, _ = _split(words)
    _refresh(run, given)
    offered, have = _offered(run, given), run.installed()
    names = {name for name in have if name in offered}
    while more := {need for name in names for need in offered[name]["needs"] if need in offered} - names:
        names |= more
    newer = [offered[name] for name in sorted(names) if have.get(name, {}).get("version") != offered[name]["version"]]
    if not newer:
        run.answer.say("Your packages are up to date.")
    _bring(run, newer, [])


def _refresh(run: Run, given: Mapping[str, str]) -> None:
    if "-U" not in given:
        _update(run, ["-r", given["-r"]] if "-r" in given else [])


def _bring(run: Run, rows: list[Row], asked: list[str]) -> None:
    """Put packages in the place of those that are there; everything is had before anything is touched."""
    archives = [(row, base_client.package(_of(run, row), row)) for row in rows]
    for row, data in archives:
        have = run.installed()
        _put(run, have.get(row["name"], {}), data)
        manifest = json.loads(base_client.unpacked(data)["+MANIFEST"])
        kept = {"name": row["name"], "version": row["version"], "comment": row.get("comment", ""), "deps": row["needs"],
                "sum": row["sum"], "files": sorted(manifest["files"]), "sums": manifest["files"],
                "automatic": row["name"] not in asked}  # fmt: skip
        run.record({**have, row["name"]: kept})
        run.answer.say(f"[{run.top or run.root}] Installing {row['name']}-{row['version']}...")


def _put(run: Run, before: Row, data: bytes) -> None:
    files, modes = base_client.unpacked(data), base_client.modes(data)
    manifest = json.loads(files["+MANIFEST"])
    for path in manifest["directories"]:
        run.folder(f"{run.root}{path}")
    for path in manifest["files"]:
        here, old = run.read(f"{run.root}{path}"), before.get("sums", {}).get(path)
        changed = here is not None and old is not None and f"1${hashlib.sha256(here).hexdigest()}" != old
        kept = changed and path in manifest["config"] and here != files[path]
        run.write(f"{run.root}{path}{'.pkgnew' if kept else ''}", files[path], modes[path])
    for path in sorted(set(before.get("files", ())) - set(manifest["files"])):
        run.remove(f"{run.root}{path}")


_VERBS = {"query": _query, "update": _update, "rquery": _rquery, "fetch": _fetch, "repo": _repo, "install": _install,
          "upgrade": _upgrade}  # fmt: skip
