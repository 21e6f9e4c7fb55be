"""pkg(8): packages of the sandbox's repository, and of archives, installed into a jail by the jail's own tar.

With repositories of its own (`-R`), and as `pkg repo`, it is base_pkg.py.
"""

from __future__ import annotations

import fnmatch
import json

from reconciler.hosts.sandbox import base_pkg, jailtable
from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.hosts.sandbox.packages import Package, Root, archive, opened, repository, words
from reconciler.model.command import Command, Completed


def main(machine: Machine, command: Command) -> Completed:
    """Answer pkg on the host; `-j JAIL` works in that jail."""
    argv = list(command.argv[1:])
    if base_pkg.asks_for(argv):
        return base_pkg.answered(machine, command)
    jid = 0
    while argv and argv[0].startswith("-"):
        if argv[0] == "-j" and len(argv) > 1:
            with machine.state.reading():
                record = jailtable.find(machine, argv[1])
            if record is None:
                return Completed(command.argv, 1, b"", f"pkg: {jailtable.missing(argv[1])}\n".encode())
            jid = int(record["jid"])
            del argv[:2]
        elif argv[0] in ("-o", "-R", "-C") and len(argv) > 1:
            del argv[:2]
        elif argv[0] == "-N":
            return Completed(command.argv, 0, b"", b"pkg: 0 packages installed\n")
        elif argv[0] in ("-v", "--version"):
            return Completed(command.argv, 0, b"2.4.2\n")
        else:
            argv.pop(0)
    return answered(machine, command, argv, jid)


def answered(machine: Machine, command: Command, argv: list[str], jid: int) -> Completed:
    """Answer pkg for the root of jail `jid`; `words` begin with the verb."""
    answer = Answer()
    while argv and argv[0].startswith("-"):
        argv = argv[2:] if argv[0] in ("-o", "-R", "-C") else argv[1:]
    verb, rest = (argv[0], argv[1:]) if argv else ("", [])
    letters = "".join(w[1:] for w in rest if w.startswith("-"))
    names = [w for w in rest if not w.startswith("-")]
    verbs = {"install": _install, "delete": _delete, "remove": _delete, "info": _info,
             "query": _query, "search": _search}  # fmt: skip
    by_options = {"fetch": _fetch, "set": _set, "rquery": _rquery}
    if verb == "search" and "-R" in rest:
        verbs["search"], names = _raw, rest[-1:]
    try:
        root = Root(machine, jid)
        if verb in ("update", "bootstrap"):
            repository(machine)
            answer.say("All repositories are up to date.")
        elif verb in ("upgrade", "clean", "check", "audit"):
            answer.say("Your packages are up to date." if verb == "upgrade" else "Nothing to do.")
        elif verb == "autoremove":
            _autoremove(root, answer)
        elif verb == "add":
            _add(root, [w for w in rest if w == "-" or not w.startswith("-")], command, letters, answer)
        elif verb in by_options:
            by_options[verb](root, rest, answer)
        elif verb in verbs:
            verbs[verb](root, names, letters, answer)
        else:
            raise Refusal(f"Unknown command: {verb}" if verb else "usage: pkg [-j jail] command [args]", 64)
    except Refusal as refusal:
        answer.warn(f"pkg: {refusal.message}", refusal.status)
    return answer.completed(command)


def _install(root: Root, names: list[str], letters: str, answer: Answer) -> None:
    folder, offered = repository(root.machine)
    have = root.installed()
    wanted: list[str] = []

    def need(name: str) -> None:
        plain = next((n for n in offered if name in words(offered[n])), None)
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
        asked = {*words(offered[name])} & {*names}
        root.unpack(*opened(archive(folder, offered[name])), have, automatic=not asked)
        answer.say(f"[{place}/{len(wanted)}] Installing {name}-{offered[name]['version']}...")


def _add(root: Root, operands: list[str], command: Command, letters: str, answer: Answer) -> None:
    """Archives, `-` that of standard input; what they need has to be there."""
    failed = []
    for operand in operands:
        stdin = command.stdin if isinstance(command.stdin, bytes) else b"".join(command.stdin)
        data = stdin if operand == "-" else root.run("/bin/cat", operand).stdout
        try:
            _one(root, data, letters, answer)
        except Refusal as refusal:
            answer.warn(f"pkg: {refusal.message}")
            failed.append(operand)
    if failed or not operands:
        answer.say(f"\nFailed to install the following {len(failed)} package(s): {', '.join(failed)}")
        answer.status = 1


def _one(root: Root, data: bytes, letters: str, answer: Answer) -> None:
    (package, files), have = opened(data), root.installed()
    there = have.get(package["name"])
    if there is not None and there["version"] == package["version"] and "f" not in letters:
        answer.say(f"the most recent version of {package['name']}-{package['version']} is already installed")
        return
    for need in package["deps"]:
        if need not in have and "M" not in letters:
            raise Refusal(f"Missing dependency '{need}'")
    answer.say(f"Installing {package['name']}-{package['version']}...")
    root.unpack(package, files, have, automatic="A" in letters)


def _fetch(root: Root, argv: list[str], answer: Answer) -> None:
    """Archives of the repository below the folder of -o; what lies there before stays."""
    given, names = options(argv, "dqUyr:o:", "Usage: pkg fetch [-r reponame] [-o destdir] [-dqUy]", 64)
    folder, offered = repository(root.machine, given.get("r", [""])[-1])
    found = [next((p for p in offered.values() if name in words(p)), None) for name in names]
    for name, package in zip(names, found, strict=True):
        if package is None:
            raise Refusal(f"No packages available to fetch matching '{name}' have been found in the repositories", 70)
    for package in found:
        assert package is not None
        data, full = archive(folder, package), f"{package['name']}-{package['version']}"
        place = root.machine.resolve(given["o"][-1], write=True) / "All" / "Hashed"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{full}~{package['sum'][:10]}.pkg").write_bytes(data)
        answer.say(f"Fetching {full}.pkg: done")


def _set(root: Root, argv: list[str], answer: Answer) -> None:
    """The flag that says whether a package came for another's sake."""
    given, names = options(argv, "yqA:", "Usage: pkg set [-A 0|1] <pkg-name>", 64)
    have = root.installed()
    for package in _matching(root, names[:1]):
        have[package["name"]]["automatic"] = given["A"][-1] == "1"
    root.record(have)
    answer.status = 0


def _autoremove(root: Root, answer: Answer) -> None:
    have = root.installed()
    while True:
        needed = {need for package in have.values() for need in package["deps"]}
        gone = [name for name, package in have.items() if package.get("automatic") and name not in needed]
        if not gone:
            return
        for name in gone:
            root.run("/bin/rm", "-f", "--", *have.pop(name)["files"])
            answer.say(f"Deinstalling {name}...")
        root.record(have)


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


def _query(root: Root, given: list[str], letters: str, answer: Answer) -> None:
    if not given:
        raise Refusal("usage: pkg query <query-format> <pkg-name>", 64)
    for package in sorted(_matching(root, given[1:]), key=lambda p: str(p["name"])):
        _formatted(given[0], package, answer)


def _search(root: Root, given: list[str], letters: str, answer: Answer) -> None:
    _, offered = repository(root.machine)
    template = given.pop(0) if given and "%" in given[0] else ""
    found = [p for p in offered.values() if not given or any(w in p["name"] for w in given)]
    if not found:
        answer.status = 1
    for package in found:
        if template:
            _formatted(template, package, answer)
        else:
            answer.say(f"{package['name'] + '-' + package['version']:<30} {package['comment']}")


def _rquery(root: Root, argv: list[str], answer: Answer) -> None:
    usage = "usage: pkg rquery [-U] [-r reponame] <query-format> <pattern>"
    given, operands = options(argv, "gqUr:", usage, 64)
    if not operands:
        raise Refusal(usage, 64)
    _, offered = repository(root.machine, given.get("r", [""])[-1])
    words_ = [word for word in operands[1:] if word != "--"]
    for name in words_ or sorted(offered):
        found = [p for p in offered.values() if name in words(p)]
        if "g" in given:
            found = [p for p in offered.values() if any(fnmatch.fnmatchcase(word, name) for word in words(p))]
        if not found:
            answer.status = 1
        for package in found:
            _formatted(operands[0], package, answer)


def _raw(root: Root, names: list[str], letters: str, answer: Answer) -> None:
    """The manifest as the catalogue has it, in JSON whatever format was asked for."""
    _, offered = repository(root.machine)
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
