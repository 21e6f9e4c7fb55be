"""A plan made with what an earlier one rendered is the plan that would be made without it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.kinds.config import Config
from reconciler.reconcile import Decided, Session
from reconciler.renderings import Renderings
from tests.fleet import Fleet, problems
from tests.laws.fleets import CONSENT, fleets
from tests.laws.test_random_pairs import host

ASKED = int(os.environ.get("LAWS_EXAMPLES", "0"))
HOST = """
kind: Host
name: example
match: {hostname: "*"}
external: vtnet0
---
"""
JAIL = """
kind: Jail
name: web
release: 15.1-RELEASE
network: {vnet: {bridge: jails0, address: 10.77.0.2/24, nat: true, expose: [{host: 80, jail: 8080}]}}
volumes: [{name: www, mountpoint: /usr/local/www, quota: 1G}]
limits: {maxproc: 100}
parameters: {allow.raw_sockets: true}
makejail: {text: "STAGE start\\nCMD echo 1"}
"""
EDITS = (
    ("external: vtnet0", "external: em0"),
    ("maxproc: 100", "maxproc: 101"),
    ("allow.raw_sockets: true", "allow.raw_sockets: false"),
    ("10.77.0.2/24", "10.77.0.3/24"),
    ("host: 80", "host: 81"),
    ("echo 1", "echo 2"),
    ("name: www", "name: other"),
    ("kind: Jail\n", "kind: Jail\nboot: false\n"),
    ("kind: Jail\n", "kind: Jail\npriority: 7\n"),
    ("kind: Jail\n", "kind: Jail\nhostname: www.example.org\n"),
    ("kind: Jail\n", "kind: Jail\ntimezone: Europe/Berlin\n"),
    ("kind: Jail\n", 'kind: Jail\ndevfs: ["path bpf* unhide"]\n'),
    ("kind: Jail\n", "kind: Jail\nsecrets: [{name: key, from: {file: /root/key}, path: /run/secrets/key}]\n"),
    ("kind: Jail\n", "kind: Jail\nkeep: [/var/lib/kept]\n"),
)


def look(fleet: Fleet, renderings: Renderings | None) -> Decided:
    """A plan; what was rendered before is used where it is given."""
    whole = fleet.session()
    return Session(whole.host, whole.options, whole.specs, renderings=renderings).decide()


def files(decided: Decided) -> Mapping[str, Any]:
    """Every file of every jail, in full."""
    return {c.name: dict(c.content) for c in decided.plan.wanted.values() if isinstance(c, Config)}


def same(fleet: Fleet, renderings: Renderings) -> None:
    """Look both ways."""
    quick, whole = look(fleet, renderings), look(fleet, None)
    assert quick.plan == whole.plan
    assert quick.refusals == whole.refusals
    assert files(quick) == files(whole)


@settings(max_examples=ASKED or 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(fleets(), min_size=2, max_size=5))
def test_plans_are_the_same_with_and_without_what_was_rendered_before(mirror_url: str, texts: list[str]) -> None:
    with host(mirror_url) as fleet:
        renderings = Renderings()
        for number, text in enumerate(texts):
            fleet.write(text)
            same(fleet, renderings)
            if number == 0:
                assert problems(fleet.apply(consent=CONSENT)) == []
                same(fleet, renderings)


def test_every_edit_is_rendered_anew(fleet: Fleet) -> None:
    renderings = Renderings()
    fleet.write(HOST + JAIL)
    before = look(fleet, renderings)
    for old, new in EDITS:
        changed = (HOST + JAIL).replace(old, new)
        assert changed != HOST + JAIL
        fleet.write(changed)
        same(fleet, renderings)
        assert files(look(fleet, renderings)) != files(before), new
    fleet.write(HOST + JAIL)
    assert files(look(fleet, renderings)) == files(before)


def test_a_makejail_that_changed_beside_its_spec_is_rendered_anew(fleet: Fleet) -> None:
    renderings = Renderings()
    fleet.write("kind: Jail\nname: web\nrelease: 15.1-RELEASE\nmakejail: {file: web.makejail}\n")
    found = []
    for text in ("STAGE start\nCMD echo 1\n", "STAGE start\nCMD echo 2\n"):
        fleet.write(text, "web.makejail")
        same(fleet, renderings)
        found.append(files(look(fleet, renderings)))
    assert found[0] != found[1]


def test_only_what_is_asked_for_is_rendered_again(fleet: Fleet) -> None:
    renderings, other = Renderings(), JAIL.replace("web", "db").replace("0.2/24", "0.9/24").replace("80", "90")
    fleet.write(HOST + JAIL + "---" + other)
    first = {name: c.files for name, c in configs(look(fleet, renderings)).items()}
    fleet.write(HOST + JAIL.replace("maxproc: 100", "maxproc: 101") + "---" + other)
    again = {name: c.files for name, c in configs(look(fleet, renderings)).items()}
    assert first["db"] is again["db"]
    assert first["web"] != again["web"]
    renderings.keep({"web"})
    third = {name: c.files for name, c in configs(look(fleet, renderings)).items()}
    assert third["db"] is not again["db"] and third == again
    assert third["web"] is again["web"]


def configs(decided: Decided) -> dict[str, Config]:
    """What each jail's files should be."""
    return {c.name: c for c in decided.plan.wanted.values() if isinstance(c, Config)}
