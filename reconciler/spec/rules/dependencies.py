"""depends_on: jails that exist, no cycles, nothing that is kept stopped."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.spec.document import Jail
from reconciler.spec.specset import Sourced
from reconciler.spec.suggest import did_you_mean
from reconciler.spec.view import Found, View, error, together

Jails = Mapping[str, Sourced[Jail]]


def check(view: View) -> Found:
    """All rules about dependencies."""
    alike: dict[str, list[Sourced[Jail]]] = {}
    for item in view.jails:
        alike.setdefault(item.name, []).append(item)
    for item in view.jails:
        for number, name in enumerate(item.doc.depends_on):
            yield from _one(view, item, number, name, alike)
    by_name = {name: items[0] for name, items in alike.items()}
    for cycle in _cycles(by_name):
        edges = list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
        paths = [("depends_on", by_name[name].doc.depends_on.index(after)) for name, after in edges]
        chain = " -> ".join((*cycle, cycle[0]))
        if len(cycle) == 1:
            detail = f"`{cycle[0]}` depends on itself."
        else:
            spots = zip(cycle, paths, strict=True)
            places = ", ".join(f"`{name}` at {by_name[name].place(path)}" for name, path in spots)
            detail = f"The jails wait for each other: {chain} ({places})."
        summary = "Dependencies form a cycle"
        yield error(by_name[cycle[0]], paths[0], "dependency-cycle", summary, detail, "Remove one of these.")


def _one(view: View, item: Sourced[Jail], number: int, name: str, alike: Mapping[str, list[Sourced[Jail]]]) -> Found:
    path = ("depends_on", number)
    there = alike.get(name, [])
    other = next((candidate for candidate in there if together(item, candidate)), None)
    if not there:
        if view.unknown("Jail", name, alike):
            detail = f"`{item.name}` depends on the jail `{name}`, which no document defines."
            hint = did_you_mean(name, alike, f"Add the jail `{name}`, or remove it here.")
            yield error(item, path, "unknown-jail", "Unknown jail", detail, hint)
    elif other is None:
        detail = f"`{item.name}` depends on `{name}`, which is for other hosts ({there[0].place(('hosts',))})."
        hint = "A jail can wait only for jails of its own host."
        yield error(item, path, "unknown-jail", "Unknown jail", detail, hint)
    elif item.doc.state == "running" and other.doc.state == "stopped":
        detail = f"`{item.name}` runs and depends on `{name}`, which is kept stopped ({other.place(('state',))})."
        hint = f"Let `{name}` run, or remove it from `depends_on`."
        yield error(item, path, "depends-on-stopped", "Depends on a stopped jail", detail, hint)


def _cycles(jails: Jails) -> list[tuple[str, ...]]:
    """Cycles that share no jail, from the jail that comes first in the files. Walked without recursion."""
    told: set[str] = set()
    state: dict[str, int] = {}
    cycles: list[tuple[str, ...]] = []
    for root in jails:
        if root in state:
            continue
        path = [root]
        state[root] = 1
        todo = [iter(jails[root].doc.depends_on)]
        while todo:
            name = next(todo[-1], None)
            if name is None:
                state[path.pop()] = 2
                todo.pop()
            elif name in jails and state.get(name) == 1:
                # breaking the cycle that was told of may break this one too
                cycle = () if name in told else tuple(path[path.index(name) :])
                if told.isdisjoint(cycle):
                    cycles += [cycle] if cycle else []
                told.update(cycle)
            elif name in jails and name not in state:
                state[name] = 1
                path.append(name)
                todo.append(iter(jails[name].doc.depends_on))
    return cycles


CHECK = check
