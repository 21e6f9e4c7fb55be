"""pkg(8): packages of the sandbox's repository, installed into a jail by the jail's own tar.

What is installed is recorded in the root, under the name of the real one's record, one JSON object in a line.
With repositories of its own (`-R`), and as `pkg repo`, it is base_pkg.py.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import lzma
from dataclasses import dataclass
from typing import Any

from reconciler.hosts.sandbox import base_pkg, jailtable, mirror, processes
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.task import Task
from reconciler.model.command import Command, Completed

_RECORD = f"/{base_pkg.RECORD}"
Package = dict[str, Any]


@dataclass(slots=True)
class Root:
    """Where packages go: the jail of a number (0 is the host), and what it says it is."""

    machine: Machine
    jid: int

    def run(self, *argv: str, stdin: bytes = b"") -> Completed:
        """Run one of the root's own programs inside it."""
        return processes.run(self.machine, Task(argv, self.jid, stdin=stdin)).completed

    def installed(self) -> dict[str, Package]:
        """What is installed, by name."""
        done = self.run("/bin/sh", "-c", f"cat {_RECORD} 2>/dev/null")
        found = [json.loads(line) for line in done.stdout.decode().splitlines() if line.strip()]
        return {str(package["name"]): package for package in found}

    def record(self, packages: dict[str, Package]) -> None:
        """Write the record whole, by rename."""
        text = "".join(json.dumps(packages[name]) + "\n" for name in sorted(packages))
        script = f"mkdir -p /var/db/pkg && cat > {_RECORD}.new && mv {_RECORD}.new {_RECORD}"
        self.run("/bin/sh", "-c", script, stdin=text.encode())


def main(machine: Machine, command: Command) -> Completed:
    """Answer pkg on the host; `-j JAIL` works in that jail."""
    words = list(command.argv[1:])
    if base_pkg.asks_for(words):
        return base_pkg.answered(machine, command)
    jid = 0
    while words and words[0].startswith("-"):
        if words[0] == "-j" and len(words) > 1:
            with machine.state.reading():
                record = jailtable.find(machine, words[1])
            if record is None:
                return Completed(command.argv, 1, b"", f"pkg: {jailtable.missing(words[1])}\n".encode())
            jid = int(record["jid"])
            del words[:2]
        elif words[0] in ("-o", "-R", "-C") and len(words) > 1:
            del words[:2]
        elif words[0] == "-N":
            return Completed(command.argv, 0, b"", b"pkg: 0 packages installed\n")
        elif words[0] in ("-v", "--version"):
            return Completed(command.argv, 0, b"2.4.2\n")
        else:
            words.pop(0)
    return answered(machine, command, words, jid)


def answered(machine: Machine, command: Command, words: list[str], jid: int) -> Completed:
    """Answer pkg for the root of jail `jid`; `words` begin with the verb."""
    answer = Answer()
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in ("-o", "-R", "-C") else words[1:]
    verb, rest = (words[0], words[1:]) if words else ("", [])
    letters = "".join(w[1:] for w in rest if w.startswith("-"))
    names = [w for w in rest if not w.startswith("-")]
    verbs = {"install": _install, "add": _install, "delete": _delete, "remove": _delete, "info": _info,
             "query": _query, "rquery": _rquery, "search": _search}  # fmt: skip
    if verb == "search" and "-R" in rest:
        verbs["search"], names = _raw, rest[-1:]
    try:
        if verb in ("update", "bootstrap"):
            answer.say("All repositories are up to date.")
        elif verb in ("upgrade", "autoremove", "clean", "check", "audit"):
            answer.say("Your packages are up to date." if verb == "upgrade" else "Nothing to do.")
        elif verb in verbs:
            verbs[verb](Root(machine, jid), names, letters, answer)
        else:
            raise Refusal(f"Unknown command: {verb}" if verb else "usage: pkg [-j jail] command [args]", 64)
    except Refusal as refusal:
        answer.warn(f"pkg: {refusal.message}", refusal.status)
    return answer.completed(command)


def _available(machine: Machine) -> tuple[Any, dict[str, Package]]:
    folder = mirror.ensure_mirror(machine) / "pkg" / mirror.ABI["15"] / "latest"
    lines = (folder / "packagesite.jsonl").read_text().splitlines()
    return folder, {p["name"]: p for p in map(json.loads, lines)}


def _install(root: Root, names: list[str], letters: str, answer: Answer) -> None:
    folder, offered = _available(root.machine)
    have = root.installed()
    wanted: list[str] = []

    def need(name: str) -> None:
        plain = next((n for n in offered if name in _words(offered[n])), None)
        if plain is None:
            raise Refusal(f"No packages available to install matching '{name}' have been found in the repositories")
        for other in offered[plain]["deps"]:
            need(other)
        if plain not in wanted and (plain not in have or "f" in letters):
            wanted.append(plain)

    for name in names:
        need(name)
    if not wanted:
        answer.say("The most recent versions of packages are already installed")
        return
    answer.say(f"The following {len(wanted)} package(s) will be affected (of 0 checked):\n")
    answer.say("New packages to be INSTALLED:")
    for name in wanted:
        answer.say(f"\t{name}: {offered[name]['version']}")
    for place, name in enumerate(wanted, 1):
        _unpack(root, folder, offered[name])
        kept = {k: offered[name][k] for k in ("name", "version", "comment", "deps", "sum", "files")}
        have[name] = {**kept, "automatic": name not in names}
        root.record(have)
        answer.say(f"[{place}/{len(wanted)}] Installing {name}-{offered[name]['version']}...")


def _words(package: Package) -> tuple[str, str, str]:
    """What pkg takes for a package, exactly: its name, that with its version, its origin."""
    return package["name"], f"{package['name']}-{package['version']}", f"local/{package['name']}"


def _unpack(root: Root, folder: Any, package: Package) -> None:
    data = (folder / package["path"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != package["sum"]:
        raise Refusal(f"{package['name']}: checksum mismatch for {package['path']}")
    done = root.run("/usr/bin/tar", "-x", "-p", "-f", "-", "-C", "/", "--no-same-owner", stdin=lzma.decompress(data))
    if done.status:
        raise Refusal(f"{package['name']}: {done.stderr.decode(errors='replace').strip()}", 70)
    if package["script"]:
        root.run("/bin/sh", "-c", package["script"])


def _delete(root: Root, names: list[str], letters: str, answer: Answer) -> None:
    have = root.installed()
    gone = [name for name in have if any(fnmatch.fnmatchcase(name, word) for word in names)] if names else []
    gone = list(have) if "a" in letters else gone
    if not gone:
        raise Refusal(f"No packages matched for pattern '{names[0] if names else ''}'")
    needing = [n for n, p in have.items() if n not in gone and set(p["deps"]) & set(gone)]
    for name in [*gone, *needing]:
        files = have.pop(name)["files"]
        root.run("/bin/rm", "-f", "--", *files)
        root.record(have)
        answer.say(f"Deinstalling {name}...")


def _matching(root: Root, names: list[str]) -> list[Package]:
    have = root.installed()
    if not names:
        return list(have.values())
    found = [p for p in have.values() for word in names
             if fnmatch.fnmatchcase(p["name"], word) or word == f"{p['name']}-{p['version']}"]  # fmt: skip
    if not found:
        raise Refusal(f"No package(s) matching {names[0]}")
    return found


def _info(root: Root, names: list[str], letters: str, answer: Answer) -> None:
    try:
        found = _matching(root, names)
    except Refusal:
        if "e" in letters:
            answer.status = 1
            return
        raise
    if "e" in letters:
        return
    for package in sorted(found, key=lambda p: str(p["name"])):
        full = f"{package['name']}-{package['version']}"
        if "l" in letters:
            answer.say(f"{full}:\n" + "\n".join(f"\t{path}" for path in package["files"]))
        else:
            answer.say(full if "q" in letters else f"{full:<30} {package['comment']}")


def _query(root: Root, words: list[str], letters: str, answer: Answer) -> None:
    if not words:
        raise Refusal("usage: pkg query <query-format> <pkg-name>", 64)
    for package in sorted(_matching(root, words[1:]), key=lambda p: str(p["name"])):
        _formatted(words[0], package, answer)


def _search(root: Root, words: list[str], letters: str, answer: Answer) -> None:
    _, offered = _available(root.machine)
    template = words.pop(0) if words and "%" in words[0] else ""
    found = [p for p in offered.values() if not words or any(w in p["name"] for w in words)]
    if not found:
        answer.status = 1
    for package in found:
        if template:
            _formatted(template, package, answer)
        else:
            answer.say(f"{package['name'] + '-' + package['version']:<30} {package['comment']}")


def _rquery(root: Root, words: list[str], letters: str, answer: Answer) -> None:
    if not words:
        raise Refusal("usage: pkg rquery [-U] <query-format> <pattern>", 64)
    _, offered = _available(root.machine)
    for name in words[1:] or sorted(offered):
        found = next((p for p in offered.values() if name in _words(p)), None)
        if found is None:
            answer.status = 1
        else:
            _formatted(words[0], found, answer)


def _raw(root: Root, names: list[str], letters: str, answer: Answer) -> None:
    """The manifest as the catalogue has it, in JSON whatever format was asked for."""
    _, offered = _available(root.machine)
    answer.status = int(names[0] not in offered)
    for package in (offered[name] for name in names if name in offered):
        manifest = {key: package[key] for key in ("name", "version", "comment", "sum", "path")}
        answer.say(json.dumps({**manifest, "origin": f"local/{package['name']}", "repopath": package["path"]}))


def _formatted(template: str, package: Package, answer: Answer) -> None:
    lists = {"%dn": "deps", "%d": "deps", "%Fp": "files"}
    word = next((sign for sign in lists if sign in template), None)
    for item in package[lists[word]] if word else [""]:
        text = template.replace(word, item) if word else template
        values = {"%n": package["name"], "%v": package["version"], "%c": package["comment"],
                  "%a": str(int(bool(package.get("automatic")))), "%o": f"local/{package['name']}",
                  "%X": package["sum"], "%R": "FreeBSD", "%s": "0", "\\t": "\t"}  # fmt: skip
        for sign, value in values.items():
            text = text.replace(sign, value)
        answer.say(text)


COMMAND = Simulated(("pkg",), main, transaction=False)
