"""Which documents are for a machine, and what its Host document gives its jails."""

import pytest

from reconciler.model.diagnostic import SpecError
from reconciler.spec.load import load
from reconciler.spec.select import package_refs, select

HOSTS = """\
kind: Host
name: alpha
match: {hostname: "alpha*"}
defaults: {release: 15.1-RELEASE, patch_level: 3, boot: false, resolver: [10.0.0.53], ignore: [/var/cache]}
---
kind: Host
name: beta
match: {labels: {role: beta}}
defaults: {release: 14.4-RELEASE, log_volume: false}
---
"""


@pytest.fixture
def specs(tmp_path):
    """Write documents and load them."""

    def write(text):
        (tmp_path / "specs.yaml").write_text(text)
        return load(tmp_path)

    return write


def codes(raised):
    return [problem.code for problem in raised.value.diagnostics]


def test_without_host_documents_everything_is_for_every_machine(specs):
    selected = select(specs("kind: Jail\nname: web\nrelease: 15.1-RELEASE\n"), "anything")
    assert list(selected.jails) == ["web"]
    assert selected.host.pool == "zroot/reconciler" and selected.host_source is None


def test_a_host_name_selects_by_glob_whatever_its_case(specs):
    assert select(specs(HOSTS + "kind: Jail\nname: web"), "ALPHA.example.org").host.name == "alpha"


def test_labels_select_and_all_of_them_must_fit(specs):
    loaded = specs(HOSTS + "kind: Jail\nname: web")
    assert select(loaded, "x", {"role": "beta", "more": "y"}).host.name == "beta"
    with pytest.raises(SpecError) as raised:
        select(loaded, "x", {"role": "gamma"})
    assert codes(raised) == ["no-host-matches"]


def test_two_matches_are_an_error(specs):
    with pytest.raises(SpecError) as raised:
        select(specs(HOSTS + "kind: Jail\nname: web"), "alpha1", {"role": "beta"})
    assert codes(raised) == ["two-hosts-match"]


def test_a_document_with_hosts_is_for_those_only(specs):
    loaded = specs(HOSTS + "kind: Jail\nname: web\nhosts: [alpha]\n---\nkind: Jail\nname: db\n")
    assert list(select(loaded, "alpha").jails) == ["web", "db"]
    assert list(select(loaded, "x", {"role": "beta"}).jails) == ["db"]


def test_two_hosts_may_have_different_jails_of_one_name(specs):
    jail = "kind: Jail\nname: web\nhosts: [{}]\nhostname: {}\n---\n"
    loaded = specs(HOSTS + jail.format("alpha", "one") + jail.format("beta", "two"))
    assert select(loaded, "alpha").jails["web"].doc.hostname == "one"
    assert select(loaded, "x", {"role": "beta"}).jails["web"].doc.hostname == "two"


def test_defaults_are_for_jails_that_do_not_say(specs):
    given = "release: 14.4-RELEASE\npatch_level: latest\nboot: true\nignore: [/a]\nnetwork: {resolver: []}\n"
    loaded = specs(HOSTS + "kind: Jail\nname: plain\n---\nkind: Jail\nname: own\n" + given)
    jails = select(loaded, "alpha").jails
    plain, own = jails["plain"].doc, jails["own"].doc
    assert (plain.release, plain.patch_level, plain.boot) == ("15.1-RELEASE", 3, False)
    assert plain.network.resolver == ("10.0.0.53",) and plain.ignore == ("/var/cache",)
    assert (own.release, own.patch_level, own.boot) == ("14.4-RELEASE", "latest", True)
    assert own.network.resolver == () and own.ignore == ("/a", "/var/cache")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", ["log"]),
        ("volumes: [{name: data, mountpoint: /data}]", ["data", "log"]),
        ("volumes: [{name: logs, mountpoint: /var/log}]", ["logs"]),
        ("mounts: [{device: /var/log/web, mountpoint: /var/log}]", []),
    ],
)
def test_the_log_volume_is_there_unless_something_is_mounted_there(specs, given, names):
    loaded = specs(f"kind: Jail\nname: web\nrelease: 15.1-RELEASE\n{given}\n")
    assert [volume.name for volume in select(loaded, "x").jails["web"].doc.volumes] == names


def test_a_host_may_refuse_the_log_volume(specs):
    jails = select(specs(HOSTS + "kind: Jail\nname: web"), "x", {"role": "beta"}).jails
    assert jails["web"].doc.volumes == ()


def test_releases_that_jails_name_are_there_without_a_document(specs):
    loaded = specs("kind: Jail\nname: web\nrelease: 15.1-RELEASE\n")
    assert select(loaded, "x").releases["15.1-RELEASE"].doc.sets == ("base",)


def test_a_place_is_that_of_the_nearest_written_value(specs):
    jail = select(specs("kind: Jail\nname: web\nrelease: 15.1-RELEASE\n"), "x").jails["web"]
    assert (jail.place(("release",)).line, jail.place(("release",)).column) == (3, 10)
    assert (jail.place(("volumes", 0, "name")).line, jail.place(("volumes", 0, "name")).column) == (1, 1)


def test_packages_are_completed_from_their_documents(specs, tmp_path):
    (tmp_path / "a.txz").write_bytes(b"")
    digest = "sha256:" + "1" * 64
    loaded = specs(
        f"kind: Package\nname: a\nrelease: 15.1-RELEASE\nsource: a.txz\ndigest: {digest}\n---\n"
        f"kind: Jail\nname: web\nrelease: 15.1-RELEASE\npackages: [{{name: a}}, {{name: b, digest: '{digest}'}}]\n"
    )
    selected = select(loaded, "x")
    first, second = package_refs(selected, selected.jails["web"])
    assert (first.digest, first.source) == (digest, tmp_path / "a.txz")
    assert (second.digest, second.source) == (digest, None)
    assert first.span.line == 10
