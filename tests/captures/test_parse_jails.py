"""jls(8), jail(8): what they printed, as values."""

import pytest
from captured import answer

from reconciler.hosts.freebsd import jail
from reconciler.model.command import Completed
from reconciler.model.diagnostic import HostError


def test_no_jails():
    assert jail.parse_listing(answer("04-jail.txt", "jls --libxo json")) == ()


def test_jails_with_named_parameters():
    rows = jail.parse_listing(answer("04-jail.txt", "jls --libxo json jid name path host.hostname dying"))
    assert [(row.jid, row.name) for row in rows][:6] == [
        (1, "j1"), (2, "j2"), (3, "j3"), (4, "1abc"), (5, "a b"), (6, "a/b"),
    ]  # fmt: skip
    assert rows[0].parameters == {"host.hostname": "j1.example"}
    assert not rows[0].dying


def test_all_parameters_of_one_jail():
    (row,) = jail.parse_listing(answer("04-jail.txt", "jls --libxo json,pretty -j j1 all"))
    assert (row.jid, row.name, row.path) == (1, "j1", "/jails/j1")
    assert row.parameters["ip4.addr"] == ()
    assert row.parameters["allow.mount"] == "false"
    assert row.parameters["devfs_ruleset"] == "0"


def test_every_parameter_that_is_always_asked_for_is_one_that_jls_knows():
    (row,) = jail.parse_listing(answer("04-jail.txt", "jls --libxo json,pretty -j j1 all"))
    assert set(jail.PARAMETERS) <= row.parameters.keys()


def test_addresses_are_a_list():
    done = answer("14-network-limits.txt", "jls --libxo json -j al name ip4.addr")
    whole = done.stdout.replace(b'"name":"al"', b'"jid":"3","path":"/","dying":"false","name":"al"')
    (row,) = jail.parse_listing(Completed(done.argv, 0, whole))
    assert row.parameters == {"ip4.addr": ("127.0.5.1",)}


def test_booleans_of_older_releases_are_read_alike():
    stdout = b'{"jail-information": {"jail": [{"jid":1,"name":"a","path":"/","dying":false,"persist":true}]}}'
    (row,) = jail.parse_listing(Completed(("jls",), 0, stdout))
    assert (row.dying, row.parameters) == (False, {"persist": "true"})


@pytest.mark.parametrize("stdout", [b"", b"{", b"[]", b'{"jail-information": {"jail": [{"jid":"x"}]}}', b"\xff"])
def test_anything_else_is_refused(stdout):
    with pytest.raises(HostError, match="unreadable-output"):
        jail.parse_listing(Completed(("jls",), 0, stdout))
