"""zfs send and receive of one whole snapshot. The stream is the sandbox's own, not OpenZFS's."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from typing import Any

from reconciler.hosts.sandbox import beneath
from reconciler.hosts.sandbox.answer import Answer, Refusal, options
from reconciler.hosts.sandbox.archive import BROKEN, Extraction, members
from reconciler.hosts.sandbox.commands.zfs.creating import assignments
from reconciler.hosts.sandbox.commands.zfs.mounting import attach, detach, mountable
from reconciler.hosts.sandbox.commands.zfs.names import existing, new
from reconciler.hosts.sandbox.commands.zfs.usage import usage
from reconciler.hosts.sandbox.machine import Machine
from reconciler.hosts.sandbox.sidecar import Sidecar
from reconciler.model.command import Command, Completed

_MAGIC = b"reconciler-sandbox-stream 1\n"


def main(machine: Machine, command: Command) -> Completed:
    """Answer send, receive and recv."""
    answer = Answer()
    data = b""
    try:
        if command.argv[1] == "send":
            data = _send(machine, answer, command.argv[2:])
        else:
            chunks = (command.stdin,) if isinstance(command.stdin, bytes) else command.stdin
            _receive(machine, command.argv[2:], b"".join(chunks))
    except Refusal as refusal:
        answer.warn(refusal.message, refusal.status)
    done = answer.completed(command)
    return Completed(done.argv, done.status, data or done.stdout, done.stderr)


def _send(machine: Machine, answer: Answer, argv: Sequence[str]) -> bytes:
    given, operands = options(argv, "DLPbcehnpsVvwRi:I:X:t:", usage("send"))
    if len(operands) != 1:
        problem = "missing snapshot argument" if not operands else "too many arguments"
        raise Refusal(f"{problem}\n{usage('send')}", 2)
    if {"R", "i", "I", "t"} & given.keys():
        raise Refusal(f"cannot send '{operands[0]}': only whole streams of one snapshot are simulated")
    name = existing(machine, operands[0])
    if "@" not in name:
        raise Refusal(f"cannot open '{name}': missing '@' delimiter in snapshot name")
    record = machine.pool.snapshots[name]
    if "n" in given:
        return b""
    props = machine.pool.datasets[name.split("@")[0]]["props"] if "p" in given else {}
    head = {"snapshot": name, "guid": record["guid"], "creation": record["creation"], "props": props}
    if "p" in given:
        head["snapshot_props"] = record["props"]
    buffer = io.BytesIO()
    tree = machine.contents.path(record["content"])
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, path in members(tree, "", ".", Sidecar(tree), {}):
            archive.addfile(member, io.BytesIO(beneath.read(tree, path)) if member.isreg() else None)
    text = json.dumps(head).encode()
    body = buffer.getvalue()
    return _MAGIC + b"%d %d\n" % (len(text), len(body)) + text + body


def _unpacked(stream: bytes) -> tuple[dict[str, Any], bytes]:
    if not stream:
        raise Refusal("cannot receive: failed to read from stream")
    if not stream.startswith(_MAGIC):
        raise Refusal("cannot receive: invalid stream (bad magic number)")
    line, _, rest = stream[len(_MAGIC) :].partition(b"\n")
    sizes = [int(word) for word in line.split() if word.isdigit()]
    if len(sizes) != 2 or len(rest) < sum(sizes):
        raise Refusal("cannot receive new filesystem stream: incomplete stream")
    head: dict[str, Any] = json.loads(rest[: sizes[0]])
    return head, rest[sizes[0] : sum(sizes)]


def _receive(machine: Machine, argv: Sequence[str], stream: bytes) -> None:
    given, operands = options(argv, "vMnsFhudeAo:x:", usage("receive"))
    if len(operands) != 1:
        problem = "missing snapshot argument" if not operands else "too many arguments"
        raise Refusal(f"{problem}\n{usage('receive')}", 2)
    head, body = _unpacked(stream)
    name = operands[0].split("@")[0]
    short = operands[0].partition("@")[2] or str(head["snapshot"]).split("@")[1]
    if {"d", "e"} & given.keys():
        sent = str(head["snapshot"]).split("@")[0]
        name += "/" + (sent.partition("/")[2] if "d" in given else sent.rpartition("/")[2])
    props = assignments(given.get("o", []), f"cannot receive '{name}'", "receive")
    received = {key: value for key, value in head["props"].items() if key not in given.get("x", [])}
    _make_room(machine, name, force="F" in given)
    if "n" in given:
        return
    record = machine.pool.add(name, props)
    record["received"] = received
    record["content"], record["shared"] = _store(machine, body), True
    snapshot = machine.pool.add_snapshot(f"{name}@{short}", machine.pool.next_txg(), record["content"], {})
    snapshot["guid"], snapshot["creation"] = head["guid"], head["creation"]
    snapshot["received"] = head.get("snapshot_props", {})
    if "u" not in given and mountable(machine, name):
        attach(machine, name)


def _make_room(machine: Machine, name: str, *, force: bool) -> None:
    if name not in machine.pool.datasets:
        new(machine, name)
        return
    if not force:
        raise Refusal(
            f"cannot receive new filesystem stream: destination '{name}' exists\nmust specify -F to overwrite it"
        )
    record = machine.pool.datasets[name]
    if record["snaps"]:
        raise Refusal(
            f"cannot receive new filesystem stream: destination has snapshots (eg. {name}@{record['snaps'][0]})\n"
            "must destroy them to overwrite it"
        )
    detach(machine, [name])
    machine.discard({machine.pool.remove(name)})


def _store(machine: Machine, body: bytes) -> str:
    content = machine.contents.copy("")
    tree = machine.contents.path(content)
    problems: list[str] = []
    extraction = Extraction(tree, "", Sidecar(tree), problems.append)
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            for member in archive:
                extraction.add(archive, member, member.name)
        extraction.finish()
    except BROKEN as error:
        machine.contents.remove(content)
        raise Refusal("cannot receive new filesystem stream: invalid stream (checksum mismatch)") from error
    if problems:
        machine.contents.remove(content)
        raise Refusal(f"cannot receive new filesystem stream: invalid stream ({problems[0]})")
    return content
