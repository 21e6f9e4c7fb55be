"""Rules of pf(4) as pfctl(8) reads and prints them: nat, rdr and filter rules of anchors.

Only what is needed to keep, compare and show rules: they are put into pfctl's canonical words, not
evaluated against packets.
"""

from __future__ import annotations

import ipaddress
import re
import shlex

TRANSLATION = ("nat", "rdr", "binat", "no nat", "no rdr", "nat-anchor", "rdr-anchor")
_PORTS = {"http": "80", "https": "443", "ssh": "22", "domain": "53", "smtp": "25"}
_NAMES = {number: name for name, number in _PORTS.items()}


class RuleError(Exception):
    """Line `line` of a ruleset is not one that pfctl takes; the words are pfctl's."""

    def __init__(self, line: int, message: str = "syntax error") -> None:
        """`line` counts from 1."""
        super().__init__(message)
        self.line = line
        self.message = message


def parse(text: str) -> tuple[list[str], list[str]]:
    """Translation rules and filter rules of a ruleset, in canonical words; macros are filled in."""
    nat: list[str] = []
    rules: list[str] = []
    macros: dict[str, str] = {}
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].rstrip()
        start = start or number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        line, first, pending, start = (pending + line).strip(), start, "", 0
        if not line:
            continue
        macro = re.fullmatch(r"([A-Za-z_]\w*)\s*=\s*(.+)", line)
        if macro:
            macros[macro[1]] = macro[2].strip().strip('"')
            continue
        for name, value in macros.items():
            line = re.sub(rf"\${name}\b", value, line)
        if "$" in line:
            raise RuleError(first, f"macro '{line.partition('$')[2].split()[0]}' not defined")
        if line.startswith(("set ", "table ", "scrub")):
            continue
        for rule in _expanded(line):
            canonical = _canonical(rule, first)
            (nat if canonical.startswith(TRANSLATION) else rules).append(canonical)
    return nat, rules


def _expanded(line: str) -> list[str]:
    """`{ a, b }` lists multiply a rule, as pfctl does."""
    match = re.search(r"\{([^{}]*)\}", line)
    if match is None:
        return [line]
    words = [w for w in re.split(r"[,\s]+", match[1]) if w]
    return [r for w in words for r in _expanded(line[: match.start()] + w + line[match.end() :])]


def _canonical(line: str, number: int) -> str:
    try:
        words = shlex.split(re.sub(r"([()])", r" \1 ", line.replace("->", " -> ")), posix=False)
    except ValueError as error:
        raise RuleError(number) from error
    if words[0] in ("nat-anchor", "rdr-anchor", "anchor", "binat-anchor"):
        tail = " all" if len(words) == 2 else "".join(f" {w}" for w in words[2:])
        return f'{words[0]} "{words[1].strip(chr(34))}"{tail}'
    negated = words[0] == "no"
    if words[int(negated)] in ("nat", "rdr", "binat"):
        return ("no " if negated else "") + _translation(words[int(negated) :], number)
    if words[0] in ("pass", "block"):
        return _filter(words, number)
    raise RuleError(number)


def _translation(words: list[str], number: int) -> str:
    arrow = words.index("->") if "->" in words else len(words)
    head, tail = words[1:arrow], words[arrow + 1 :]
    text = words[0] + " " + _match(_strip(head, ("pass", "log")), number)
    if not tail:
        return text
    target, rest = _endpoint(tail)
    options = _strip(rest, ())
    text += f" -> {target}"
    # Into an interface's address, or a whole network, pf goes round robin.
    if words[0] == "nat" and (target.startswith("(") or _many(target)):
        text += " round-robin"
    return " ".join([text, *[o for o in options if o != "round-robin"]])


def _many(target: str) -> bool:
    return "/" in target and not target.endswith(("/32", "/128"))


def _strip(words: list[str], dropped: tuple[str, ...]) -> list[str]:
    return [w for w in words if w not in dropped]


def _endpoint(words: list[str]) -> tuple[str, list[str]]:
    """One address with its port; an interface in parentheses is one word."""
    if not words:
        raise RuleError(0)
    if words[0] == "(":
        close = words.index(")") if ")" in words else len(words) - 1
        text, rest = "(" + " ".join(words[1:close]) + ")", words[close + 1 :]
    else:
        text, rest = _address(words[0]), words[1:]
    if rest[:1] == ["port"] and len(rest) > 1:
        operator = "= " if not rest[1].startswith(("=", "<", ">", "!")) else ""
        if rest[1] in ("=", "!=", "<", ">", "<=", ">=") and len(rest) > 2:
            text, rest = f"{text} port {rest[1]} {_port(rest[2])}", rest[3:]
        else:
            text, rest = f"{text} port {operator if ':' not in rest[1] else ''}{_port(rest[1])}", rest[2:]
    return text, rest


def _port(word: str) -> str:
    number = _PORTS.get(word, word)
    return _NAMES.get(number, number)


def _address(word: str) -> str:
    plain = word.removeprefix("!")
    try:
        network = ipaddress.ip_network(plain, strict=False)
    except ValueError:
        return word
    shown = str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
    return "! " * word.startswith("!") + shown


def _match(words: list[str], number: int) -> str:
    """`on IF inet proto P from A to B`, with what was left out filled in as pfctl shows it."""
    shown: list[str] = []
    family = ""
    proto = ""
    source = target = ""
    rest = list(words)
    options: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "on" and rest:
            shown += ["on", rest.pop(0)]
        elif word in ("inet", "inet6"):
            family = word
        elif word == "proto" and rest:
            proto = rest.pop(0)
        elif word == "from" and rest:
            source, rest = _endpoint(rest)
        elif word == "to" and rest:
            target, rest = _endpoint(rest)
        elif word == "port" and rest:
            raise RuleError(number)
        elif word == "all":
            continue
        else:
            options.append(word)
    if not family:
        family = _family(source) or _family(target)
    shown += [family] if family else []
    shown += ["proto", proto] if proto else []
    if source or target:
        shown += ["from", source or "any", "to", target or "any"]
    else:
        shown.append("all")
    return " ".join([*shown, *options])


def _family(text: str) -> str:
    head = text.partition(" port")[0].removeprefix("! ").partition("/")[0]
    try:
        return "inet" if ipaddress.ip_address(head).version == 4 else "inet6"
    except ValueError:
        return ""


def _filter(words: list[str], number: int) -> str:
    verb, rest = words[0], words[1:]
    head = [verb]
    while rest and rest[0] in ("in", "out", "quick", "log", "drop", "return"):
        word = rest.pop(0)
        head.append(word)
    if verb == "block" and not {"drop", "return"} & set(head):
        head.insert(1, "drop")
    text = " ".join([*head, _match(rest, number)])
    if verb == "pass":
        text = text.removesuffix(" keep state")
        if "no state" not in text:
            text += ("" if "proto udp" in text or "flags" in text else " flags S/SA") + " keep state"
    return text
