"""What specs read from the network: found by compiling them, and learnt where no lock says it yet."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.cache import default_folder
from reconciler.download import fetch_bytes
from reconciler.makejail.pinned import Pinned
from reconciler.makejail.program import Program
from reconciler.model.diagnostic import Diagnostic, Span, SpecError
from reconciler.programs import compile_all, packages_of, pinned_by, warnings_of, without_held
from reconciler.reconcile import Session
from reconciler.site import MAX_FILE
from reconciler.spec.document import Policy
from reconciler.spec.lock import Lock, abi_of, is_package_pattern, is_package_word
from reconciler.spec.select import for_host
from reconciler.spec.specset import SpecSet

_PATCHED = re.compile(r"[0-9]+\.[0-9]+-(RELEASE|(BETA|RC)[0-9]+)")
_ASK = "Look at what it runs, then: reconcile lock --run-commands"


@dataclass
class Found:
    """What specs read from the network. `wanted` are packages by ABI, `levels` releases at their latest level;
    `open` is what no lock can pin."""

    pinned: Pinned
    wanted: dict[str, dict[str, Diagnostic]] = field(default_factory=dict)
    levels: dict[str, Diagnostic] = field(default_factory=dict)
    open: list[Diagnostic] = field(default_factory=list)


def find(run: Session, held: Lock, *, learn: bool, commands: bool = False) -> Found:
    """Compile the Makejails of every host, and of packages; with `learn`, what they include is pinned on the way.

    With `commands`, those of INCLUDE cmd+ are run where policy allows it. Raises SpecError.
    """
    pinned = pinned_by(held, default_folder(os.environ), run.options.path)
    pinned.learn = learn
    found = Found(pinned)
    everyone = [*_compiled(run.specs, pinned, commands=commands)]
    segments = [segment for whole in everyone for program in whole.every for segment in program.segments]
    for url in (url for segment in segments for url in segment.urls):
        pinned.used.add(("files", url))
        if learn and url not in pinned.files:
            pinned.files[url] = hashlib.sha256(fetch_bytes(url, limit=MAX_FILE)).hexdigest()
    quiet = (without_held(program, pinned.files) for program in everyone)
    warnings = (warning for program in quiet for warning in warnings_of(program))
    found.open += dict.fromkeys(warning for warning in warnings if warning.code == "add-unpinned")
    run.know(compiled=compile_all(run.unnamed.jails, pinned=pinned))
    found.levels |= _floating(run)
    _packages(run, found)
    return found


def _compiled(specs: SpecSet, pinned: Pinned, *, commands: bool) -> Iterator[Program]:
    """Every Makejail, as a program. Raises SpecError with the problems of all of them."""
    makejails = {name: one for name, one in specs.packages.items() if one.doc.makejail is not None}
    policies, problems = _policies(specs) if commands else {}, list[Diagnostic]()
    for jail, sourced in specs.jails.items():
        pinned.held_back = _held_back(policies.get(jail, [Policy()]), jail) if commands else _ASK
        try:
            yield from compile_all({jail: sourced}, pinned=pinned)[0].values()
        except SpecError as error:
            problems += error.diagnostics
    pinned.held_back = "A package's Makejail runs nothing on the host: put the file beside it."
    try:
        yield from compile_all(makejails, pinned=pinned)[0].values()
    except SpecError as error:
        problems += error.diagnostics
    pinned.held_back = _ASK
    if problems:
        raise SpecError(dict.fromkeys(problems))


def _policies(specs: SpecSet) -> Mapping[str, list[Policy]]:
    """The policies of the hosts that each jail is for."""
    found: dict[str, list[Policy]] = {}
    for host in specs.hosts.values():
        for jail in for_host(specs, host).jails:
            found.setdefault(jail, []).append(host.doc.policy)
    return found


def _held_back(policies: Iterable[Policy], jail: str) -> str:
    """Why a jail's Makejail may run nothing while it is read: what the policy of one of its hosts says; or ""."""
    for policy in policies:
        if policy.host_code == "deny" or (policy.host_code == "listed" and jail not in policy.host_code_allowed):
            return f"policy.host_code is {policy.host_code}, so it is not run: put the file beside the Makejail."
    return ""


def _packages(run: Session, found: Found) -> None:
    """What this host's jails install, and the jail packages that they list."""
    programs, listed = run.compiled[0], packages_of(run.selected, pinned=found.pinned)
    for name, sourced in run.selected.jails.items():
        abi = abi_of(sourced.doc.release or "", run.first_facts.arch)
        words = [(name, word, sourced.place(("pkg",))) for word in sourced.doc.pkg]
        words += _installs(name, programs.get(name))
        for ref in listed[name]:
            words += _installs(f"The package {ref.name}", ref.program if ref.document is not None else None)
        for who, word, span in words:
            if is_package_word(word) or is_package_pattern(word):
                problem = _loose(who, word, span, "reconcile lock")
                found.wanted.setdefault(abi, {}).setdefault(word, problem)
            else:
                hint = "Name the package itself, or give the variable a value that is known before the build."
                found.open.append(_loose(who, word, span, hint))


def _installs(who: str, program: Program | None) -> Iterable[tuple[str, str, Span]]:
    segments = [s for one in program.every for s in one.segments] if program is not None else []
    return [(who, word, segment.span) for segment in segments for word in segment.packages]


def _loose(who: str, word: str, span: Span, hint: str) -> Diagnostic:
    detail = f"{who} installs {word}, and the lock does not say which version is meant."
    return Diagnostic("package-unpinned", "A package is not pinned", detail, hint, span, "warning")


def _floating(run: Session) -> dict[str, Diagnostic]:
    """Releases that a jail of this host wants at their latest level, by name; only FreeBSD's own have a tag."""
    found: dict[str, Diagnostic] = {}
    for name, sourced in run.selected.jails.items():
        release = sourced.doc.release or ""
        if sourced.doc.patch_level != "latest" or not _PATCHED.fullmatch(release):
            continue
        detail = f"{name} wants the latest patch level of {release}, and the lock does not say which one is meant."
        place = sourced.place(("patch_level",))
        summary = "A patch level is not pinned"
        found.setdefault(release, Diagnostic("release-unpinned", summary, detail, "reconcile lock", place, "warning"))
    return found
