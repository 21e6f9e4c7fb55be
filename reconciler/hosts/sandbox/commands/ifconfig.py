"""ifconfig(8): interfaces of the host and of VNET jails."""

from __future__ import annotations

from reconciler.hosts.sandbox import jailtable, network
from reconciler.hosts.sandbox.answer import Answer, Refusal
from reconciler.hosts.sandbox.machine import Machine, Simulated
from reconciler.model.command import Command, Completed

USAGE = """usage: ifconfig [-j jail] [-f type:format] [-g groupname] [-C] [-L] interface address_family
                [address [dest_address]] [parameters]
       ifconfig [-j jail] interface create
       ifconfig [-j jail] -a [-g groupname] [-C] [-L] [-d] [-m] [-u] [-v] [address_family]
       ifconfig [-j jail] -l [-d] [-u] [address_family]
       ifconfig [-j jail] [-g groupname] [-C] [-L] [-d] [-m] [-u] [-v]"""


def main(machine: Machine, command: Command) -> Completed:
    """Answer ifconfig on the host."""
    return answered(machine, command, jid=0)


def answered(machine: Machine, command: Command, *, jid: int) -> Completed:
    """Answer ifconfig as seen from the host (0) or from a jail."""
    answer = Answer()
    try:
        words = list(command.argv[1:])
        given: dict[str, str] = {}
        while words and words[0].startswith("-") and len(words[0]) > 1:
            letters = words.pop(0)[1:]
            for place, letter in enumerate(letters):
                if letter in "jgfG":
                    given[letter] = letters[place + 1 :] or (words.pop(0) if words else "")
                    break
                if letter not in "aldumvCLkn":
                    raise Refusal(f"illegal option -- {letter}\n{USAGE}")
                given[letter] = ""
        if "j" in given:
            jid = _inside(machine, given["j"])
        _act(machine, jid, given, words, answer)
    except Refusal as refusal:
        answer.warn(f"ifconfig: {refusal.message}", refusal.status)
    return answer.completed(command)


def _inside(machine: Machine, who: str) -> int:
    record = jailtable.find(machine, who)
    if record is None:
        raise Refusal(f'jail "{who}" not found')
    return int(record["jid"]) if record["values"]["vnet"] == "new" else 0


def _act(machine: Machine, jid: int, given: dict[str, str], words: list[str], answer: Answer) -> None:
    cidr = "cidr" in given.get("f", "")
    everything = network.inside(machine, jid)
    if "l" in given:
        names = [i["name"] for i in everything if not ("u" in given and not i["up"])]
        answer.say(" ".join(names))
    elif "g" in given:
        members = [i["name"] for i in everything if given["g"] in i["groups"]]
        answer.out.append("".join(f"{name}\n" for name in members))
    elif "a" in given or not words:
        for interface in everything:
            answer.out.append(network.shown(machine, interface, only=words[0] if words else "", cidr=cidr))
    elif len(words) > 1 and words[1] in ("create", "plumb"):
        made = network.create(machine, jid, words[0])
        # The name is news only where the kernel chose or completed it.
        _change(machine, jid, made, words[2:], answer)
        if made != words[0] and not answer.out:
            answer.say(made)
    elif words[1:2] == ["-vnet"]:
        _change(machine, jid, words[0], words[1:], answer)
    else:
        interface = network.named(machine, jid, words[0])
        if len(words) == 1 or (len(words) == 2 and words[1] in ("inet", "inet6", "ether", "link")):
            only = words[1] if len(words) == 2 else ""
            answer.out.append(network.shown(machine, interface, only=only, cidr=cidr))
        else:
            _change(machine, jid, words[0], words[1:], answer)


def _change(machine: Machine, jid: int, name: str, words: list[str], answer: Answer) -> None:
    pending: list[str] = []
    while words:
        word = words.pop(0)
        if word == "-vnet":
            _take_back(machine, name, _operand(words, word))
            continue
        interface = network.named(machine, jid, name)
        if word in ("inet", "inet6") and words[:1] == ["accept_rtadv"]:
            continue
        if word in ("inet", "inet6"):
            _flush(machine, jid, name, pending)
            pending = [_address(words)]
        elif word in ("alias", "add"):
            continue
        elif word in ("-alias", "delete", "remove"):
            text = pending[0] if pending else (interface["inet"] or [["", 0]])[0][0]
            pending = []
            network.remove_address(machine, interface, text)
        elif word == "destroy":
            network.destroy(machine, interface)
            return
        elif word in ("up", "down"):
            _flush(machine, jid, name, pending)
            pending = []
            interface["up"] = word == "up"
            network.store(machine, interface)
        elif word == "name":
            new = _operand(words, word)
            network.rename(machine, interface, new)
            name = new
            answer.say(new)
        elif word[:1].isdigit() and ("." in word or ":" in word):
            pending = [_address([word, *words])]
        else:
            _setting(machine, interface, word, words)
    _flush(machine, jid, name, pending)


def _flush(machine: Machine, jid: int, name: str, pending: list[str]) -> None:
    for text in pending:
        network.add_address(machine, network.named(machine, jid, name), text)


def _operand(words: list[str], word: str) -> str:
    if not words:
        raise Refusal(f"'{word}' requires argument")
    return words.pop(0)


def _address(words: list[str]) -> str:
    text = _operand(words, "inet")
    if words and words[0] == "netmask":
        mask = words[1]
        del words[:2]
        number = int(mask, 16) if mask.startswith("0x") else int.from_bytes(bytes(map(int, mask.split("."))))
        text = f"{text}/{number.bit_count()}"
    if words and words[0] in ("broadcast", "prefixlen"):
        text += f"/{words[1]}" if words[0] == "prefixlen" else ""
        del words[:2]
    return text


def _number(machine: Machine, jail: str) -> int:
    record = jailtable.find(machine, jail)
    if record is None:
        raise Refusal(f'jail "{jail}" not found')
    return int(record["jid"])


def _take_back(machine: Machine, name: str, jail: str) -> None:
    """The interface is in the jail: the host has none of that name."""
    network.move(machine, network.named(machine, _number(machine, jail), name), 0)


def _setting(machine: Machine, interface: network.Interface, word: str, words: list[str]) -> None:
    if word == "addm":
        network.add_member(machine, interface, _operand(words, word))
        return
    if word == "deletem":
        network.remove_member(machine, interface, _operand(words, word))
        return
    if word == "vnet":
        network.move(machine, interface, _number(machine, _operand(words, word)))
        return
    if word in ("description", "descr"):
        interface["description"] = _operand(words, word)
    elif word in ("-description", "-descr"):
        interface["description"] = ""
    elif word in ("ether", "link", "lladdr"):
        interface["ether"] = _operand(words, word).lower()
    elif word == "mtu":
        interface["mtu"] = int(_operand(words, word))
    elif word == "group":
        group = _operand(words, word)
        interface["groups"] = [*[g for g in interface["groups"] if g != group], group]
    elif word == "-group":
        group = _operand(words, word)
        interface["groups"] = [g for g in interface["groups"] if g != group]
    elif word not in ("-promisc", "promisc", "-auto_linklocal", "auto_linklocal", "-ifdisabled", "accept_rtadv"):
        raise Refusal(f"{word}: bad value")
    network.store(machine, interface)


COMMAND = Simulated(("ifconfig",), main)
