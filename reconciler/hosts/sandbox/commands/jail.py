"""jail(8): jails created, changed and removed, from the command line or from jail.conf(5)."""

from __future__ import annotations

import fnmatch
import glob as globbing
import os
from dataclasses import dataclass, field
from typing import Any

from reconciler.hosts.sandbox import jailconf, jailparams, jailrun, jailtable, processes
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.jailconf import Jail
from reconciler.hosts.sandbox.jailrun import Run
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

USAGE = """usage: jail [-dhilqv] [-J jid_file] [-u username] [-U username]
            -[cmr] param=value ... [command=command ...]
       jail [-dqv] [-f file] -[cmr] [jail]
       jail [-qv] [-f file] -[rR] ['*' | jail ...]
       jail [-dhilqv] [-J jid_file] [-u username] [-U username]
            [-n jailname] [-s securelevel]
            path hostname ip[,...] command ...
       jail [-f file] -e separator"""
DEFAULT_FILE = "/etc/jail.conf"


@dataclass(slots=True)
class Asked:
    """The command line; `values` holds operands of letters."""

    letters: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


def main(machine: Machine, command: Command) -> Completed:
    """Answer jail on the host. Opens its own transactions, since hooks come back to the simulator."""
    return answered(machine, command, below=0)


def answered(machine: Machine, command: Command, *, below: int) -> Completed:
    """Answer jail as run on the host (0) or inside the jail of number `below`."""
    answer = Answer()
    try:
        asked = _arguments(list(command.argv[1:]))
        run = Run(machine, command, answer, "v" in asked.letters, "q" in asked.letters, below=below,
                  env=dict(command.env))  # fmt: skip
        _act(run, asked)
    except Refusal as refusal:
        prefix = "" if refusal.message.startswith("usage") else "jail: "
        answer.warn(prefix + refusal.message, refusal.status)
    except jailconf.ConfigError as error:
        answer.warn(f"jail: {error}")
    return answer.completed(command)


def _arguments(words: list[str]) -> Asked:
    asked = Asked()
    while words and words[0].startswith("-") and len(words[0]) > 1:
        letters = words.pop(0)[1:]
        for place, letter in enumerate(letters):
            if letter in "feJnpsuUj":
                asked.values[letter] = letters[place + 1 :] or (words.pop(0) if words else "")
                break
            if letter not in "cmrRdhilqvC":
                raise Refusal(f"illegal option -- {letter}\n{USAGE}")
            asked.letters.add(letter)
    asked.words = words
    if not asked.letters & set("cmrRC") and "e" not in asked.values:
        raise Refusal(USAGE)
    return asked


def _act(run: Run, asked: Asked) -> None:
    if "e" in asked.values:
        _print(run, _configured(run, asked), asked.values["e"])
        return
    if asked.letters & set("cm") and asked.words and ("=" in asked.words[0] or len(asked.words) > 1):
        _direct(run, asked)
        return
    present = "f" in asked.values or _exists(run, DEFAULT_FILE)
    removing = bool(asked.letters & set("rR")) and not asked.letters & set("cm")
    run.note_remove = present or len(asked.words) > 1
    jails = [] if removing and not present else _configured(run, asked)
    if removing:
        _remove(run, asked, jails)
        return
    run.from_file = True
    _start_configured(run, asked, jails)


def _exists(run: Run, name: str) -> bool:
    try:
        return run.machine.resolve(name, write=False).is_file()
    except OSError:
        return False


def _configured(run: Run, asked: Asked) -> list[Jail]:
    name = asked.values.get("f", DEFAULT_FILE)
    if name == "/dev/null":
        return []
    if name == "-":
        stdin = run.command.stdin
        return jailconf.load("stdin", (stdin if isinstance(stdin, bytes) else b"".join(stdin)).decode(), _reader(run))
    try:
        text = run.machine.resolve(name, write=False).read_text()
    except OSError as error:
        raise Refusal(f"{name}: {error.strerror}") from error
    return jailconf.load(name, text, _reader(run))


def _reader(run: Run) -> jailconf.Reader:
    def read(pattern: str) -> list[tuple[str, str]]:
        if not globbing.has_magic(pattern):
            return [(pattern, run.machine.resolve(pattern, write=False).read_text())]
        folder, _, last = pattern.rpartition("/")
        real = run.machine.resolve(folder or "/", write=False)
        names = sorted(n for n in os.listdir(real) if fnmatch.fnmatchcase(n, last))
        return [(f"{folder}/{n}", run.machine.resolve(f"{folder}/{n}", write=False).read_text()) for n in names]

    return read


def _print(run: Run, jails: list[Jail], separator: str) -> None:
    for jail in jails:
        words = [f"name={_quoted(jail.name)}"]
        for name, values in jail.params.items():
            words.append(name if values is None else f"{name}={','.join(_quoted(v) for v in values)}")
        run.answer.say(separator.join(words))


def _quoted(text: str) -> str:
    if text and not any(c in " \t\n\"'\\#$=;{},*+" for c in text.replace("|", "")):
        return text
    return f'"{text}"' if '"' not in text else f"'{text}'"


def _direct(run: Run, asked: Asked) -> None:
    """`jail -c|-m param=value …`: one jail from the command line."""
    jail = Jail("")
    words = list(asked.words)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if not jailparams.known(name):
            raise Refusal(f"unknown parameter: {name}")
        if name == "command":
            jail.params[name] = [value, *words]
            break
        old = jail.params.get(name) if name in jailparams.PSEUDO_LIST else None
        jail.params[name] = [*(old or []), value] if equals else None
    who = jail.one("name") or jail.one("jid") or ""
    with run.machine.state.reading():
        record = jailtable.find(run.machine, who, run.below) if who else None
        if "name" in jail.params and who.isdigit() is False and jail.one("jid"):
            record = jailtable.find(run.machine, str(jail.one("jid")), run.below)
    if "m" in asked.letters and record is not None:
        _modify(run, record, jail)
    elif "c" not in asked.letters:
        raise Refusal(_missing(who))
    elif record is not None and "m" not in asked.letters:
        raise Refusal(f'"{record["jid"]}" already exists')
    elif not jailrun.start(run, jail):
        run.answer.status = 1
    elif "i" in asked.letters:
        with run.machine.state.reading():
            made = max(jailtable.all_jails(run.machine), key=_newest)
        run.answer.say(str(jailtable.find(run.machine, who)["jid"] if who else made["jid"]))  # type: ignore[index]


def _missing(who: str) -> str:
    return f'"{who}" not found'


def _newest(record: jailtable.Record) -> int:
    return int(record["values"]["cpuset.id"])


def _modify(run: Run, record: jailtable.Record, jail: Jail) -> None:
    values: dict[str, Any] = dict(jailrun.wanted(jail))
    if jail.one("name") and not jail.one("jid"):
        values.pop("name", None)
    with run.machine.state.transaction():
        jailtable.modify(run.machine, record, values)
    if values.get("persist") is False and not processes.members(record):
        jailrun.remove(run, record, 0)


def _start_configured(run: Run, asked: Asked, jails: list[Jail]) -> None:
    by_name = {jail.name: jail for jail in jails}
    broken = _loops(run, jails)
    names = asked.words or list(by_name)
    if names == ["*"]:
        names = list(by_name)
    done: dict[str, bool] = {}
    for name in names:
        if name not in by_name:
            run.answer.warn(f"jail: {_missing(name)}")
            continue
        if "r" in asked.letters:
            if _running(run, name) is None and "m" not in asked.letters:
                run.answer.warn(f"jail: {_missing(name)}")
                continue
            _stop_with_dependants(run, name, by_name, {})
        _bring_up(run, asked, name, by_name, broken, done, asked_for=True)
    if not all(done.values()):
        run.answer.status = 1
    elif run.answer.status and not any(line for line in run.answer.err if "dependency loop" not in line):
        run.answer.status = 0


def _bring_up(
    run: Run, asked: Asked, name: str, by_name: dict[str, Jail], broken: set[str], done: dict[str, bool], *,
    asked_for: bool,
) -> bool:  # fmt: skip
    """Start a jail after those it depends on."""
    if name in done:
        return done[name]
    jail = by_name.get(name)
    if jail is None:
        run.answer.warn(f"jail: {_missing(name)}")
        return False
    done[name] = name not in broken
    needs = [word for value in jail.all("depend") for word in value.replace(",", " ").split()]
    good = [_bring_up(run, asked, need, by_name, broken, done, asked_for=False) for need in needs]
    if name in broken:
        return False
    record = _running(run, name)
    if not all(good):
        run.answer.warn(f"jail: {name}: skipped")
        done[name] = False
    elif record is None:
        done[name] = jailrun.start(run, jail)
    elif "m" in asked.letters and asked_for:
        _modify(run, record, jail)
    elif asked_for and "c" in asked.letters:
        run.answer.warn(f'jail: "{name}" already exists')
        done[name] = False
    return done[name]


def _loops(run: Run, jails: list[Jail]) -> set[str]:
    """The first jail of every dependency loop; each is warned about at every run."""
    needs = {j.name: [w for v in j.all("depend") for w in v.replace(",", " ").split()] for j in jails}
    seen: set[str] = set()
    broken: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            broken.add(name)
            run.answer.err.append(f"jail: {name}: dependency loop\n")
        elif name not in seen:
            seen.add(name)
            for need in needs.get(name, []):
                walk(need, (*above, name))

    for jail in jails:
        walk(jail.name, ())
    return broken


def _running(run: Run, name: str) -> jailtable.Record | None:
    with run.machine.state.reading():
        return jailtable.find(run.machine, name, run.below)


def _remove(run: Run, asked: Asked, jails: list[Jail]) -> None:
    """`jail -r|-R NAME…`: with the configuration where there is one, and `-R` always without."""
    by_name = {jail.name: jail for jail in jails}
    _loops(run, jails)
    names = asked.words
    everything = names == ["*"] or not names
    if everything:
        names = [name for name in by_name if _running(run, name) is not None]
    gone: dict[str, bool] = {}
    for name in names:
        if name in gone:
            continue
        record = _running(run, name)
        needed = gone and any(not fine for fine in gone.values())
        if needed and name in _needs_of(by_name, gone):
            run.answer.warn(f"jail: {name}: skipped")
            gone[name] = False
        elif record is None:
            run.answer.warn(f"jail: {_missing(name)}")
            gone[name] = False
        elif "R" in asked.letters or record["name"] not in by_name:
            _plain_remove(run, record)
            gone[name] = True
        else:
            run.from_file = True
            gone[name] = _stop_with_dependants(run, record["name"], by_name, gone)
    if not all(gone.values()):
        run.answer.status = 1


def _needs_of(by_name: dict[str, Jail], gone: dict[str, bool]) -> set[str]:
    failed = [by_name[name] for name, fine in gone.items() if not fine and name in by_name]
    return {word for jail in failed for value in jail.all("depend") for word in value.replace(",", " ").split()}


def _plain_remove(run: Run, record: jailtable.Record) -> None:
    jailrun.remove(run, record, jailrun.STOP_TIMEOUT)
    if (run.verbose or run.note_remove) and not run.quiet:
        run.answer.say(f"{record['name']}: removed")


def _stop_with_dependants(run: Run, name: str, by_name: dict[str, Jail], gone: dict[str, bool]) -> bool:
    """Stop a jail after those that depend on it."""
    for other, jail in by_name.items():
        needs = [word for value in jail.all("depend") for word in value.replace(",", " ").split()]
        if name in needs and other != name and other not in gone and _running(run, other) is not None:
            gone[other] = _stop_with_dependants(run, other, by_name, gone)
            if not gone[other]:
                run.answer.warn(f"jail: {name}: skipped")
                return False
    record = _running(run, name)
    if record is None:
        return True
    run.note_remove = True
    return jailrun.stop(run, by_name[name], record)


COMMAND = Simulated(("jail",), main, transaction=False)
