"""One observation: what is asked, what it costs, and what its answers mean together."""

import pytest

from reconciler.hosts.freebsd import observe, zfs
from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.open import open_host
from reconciler.model.command import Completed
from reconciler.model.diagnostic import HostError, SpecError
from reconciler.model.ports import FACETS, Observation, Request

OURS = Request("zroot/reconciler", "/reconciler", frozenset({"datasets"}), extra_pools=("tank/reconciler",))
MISSING = b"cannot open 'zroot/reconciler': dataset does not exist\n"


def row(name, **values):
    usual = dict.fromkeys(zfs.columns(jailed=True), "-") | {"name": name, "type": "filesystem", "mounted": "yes"}
    usual["mountpoint"] = "/" + name.partition("/")[2]
    return "\t".join((usual | values).values()).encode() + b"\n"


def states(stdout, stderr=b"", pools=b"zroot\tONLINE\ntank\tONLINE\n", request=OURS, status=None):
    failed = bool(stderr) if status is None else status
    listing = Completed(zfs.listing(observe.roots(request)), int(failed), stdout, stderr)
    raw = (listing, Completed(zfs.pools(), 0, pools)) if failed else (listing,)
    seen = observe.parse(request, Observation("", raw, {}), jailed=True)
    return {request.pool: (seen.pool_state, seen.pool_reason), **seen.pools}


BOTH = row("zroot/reconciler") + row("tank/reconciler")


def test_a_mounted_dataset_is_ready():
    assert states(BOTH) == {"zroot/reconciler": ("ready", ""), "tank/reconciler": ("ready", "")}


def test_a_dataset_of_an_imported_pool_that_is_not_there_is_absent():
    found = states(row("tank/reconciler"), MISSING)
    assert found["zroot/reconciler"][0] == "absent"
    assert found["tank/reconciler"][0] == "ready"


def test_a_pool_that_is_not_imported_is_waited_for():
    found = states(row("tank/reconciler"), MISSING, pools=b"tank\tONLINE\n")
    why = "the pool zroot is not imported: zpool import zroot"
    others = " (imported are: tank; `pool:` of a Host document says which one to use)"
    assert found["zroot/reconciler"] == ("waiting", why + others)


def test_an_extra_pool_that_is_not_imported_is_waited_for_and_ours_is_ready():
    stderr = b"cannot open 'tank/reconciler': dataset does not exist\n"
    found = states(row("zroot/reconciler"), stderr, pools=b"zroot\tONLINE\n")
    assert found["zroot/reconciler"][0] == "ready"
    assert found["tank/reconciler"][0] == "waiting"


def test_a_suspended_pool_is_waited_for():
    stderr = b"cannot open 'zroot/reconciler': pool I/O is currently suspended\n"
    found = states(row("tank/reconciler"), stderr, pools=b"zroot\tSUSPENDED\ntank\tONLINE\n")
    assert found["zroot/reconciler"][0] == "waiting"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"mounted": "no"}, "zroot/reconciler is not mounted"),
        ({"keystatus": "unavailable", "encryptionroot": "zroot"}, "the key of zroot is not loaded"),
        ({"mountpoint": "/elsewhere"}, "zroot/reconciler is mounted on /elsewhere"),
    ],
)
def test_a_dataset_that_cannot_be_used_yet_is_waited_for(values, reason):
    state, why = states(row("zroot/reconciler", **values) + row("tank/reconciler"))["zroot/reconciler"]
    assert state == "waiting"
    assert why.startswith(reason)


def test_a_host_without_zfs_is_refused():
    assert states(b"", b"zfs: not found\n", status=127)["zroot/reconciler"][0] == "refused"


def test_a_dataset_among_boot_environments_is_refused():
    request = Request("zroot/ROOT/default/reconciler", "/reconciler", frozenset({"datasets"}))
    assert states(b"", MISSING, request=request)["zroot/ROOT/default/reconciler"][0] == "refused"


def test_a_part_that_is_gone_says_nothing_of_the_pool():
    request = Request("zroot/reconciler", "/reconciler", frozenset({"datasets"}), roots=("zroot/reconciler/jails/web",))
    stderr = b"cannot open 'zroot/reconciler/jails/web': dataset does not exist\n"
    assert states(b"", stderr, request=request) == {"zroot/reconciler": ("ready", "")}


def test_a_listing_that_fails_for_another_reason_is_an_error():
    with pytest.raises(HostError, match="not-permitted"):
        states(b"", b"Permission denied the ZFS utilities must be run as root.\n")


def test_at_most_nine_commands_are_asked():
    whole = Request("zroot/reconciler", "/reconciler")
    assert len(observe.commands(whole, jailed=True)) == 9
    for facet in FACETS - {"files"}:
        assert 1 <= len(observe.commands(Request("a", "/a", frozenset({facet})), jailed=True)) <= 2


@pytest.fixture
def host(tmp_path):
    host = open_host(f"sandbox:{tmp_path}")
    host.datasets.create("zroot/reconciler", {"mountpoint": "/reconciler"})
    return host


def test_a_digest_stays_until_something_changes(host):
    whole = Request("zroot/reconciler", "/reconciler")
    host.files.mkdir("/reconciler/jails/web")
    first = host.observe(whole).digest
    assert host.observe(whole).digest == first
    host.files.write("/reconciler/jails/web/fstab", b"x")
    second = host.observe(whole).digest
    assert second != first
    host.datasets.set("zroot/reconciler", {"reconciler:owner": "me"})
    assert host.observe(whole).digest != second


def test_files_are_named_relative_to_the_mountpoint(host):
    host.files.mkdir("/reconciler/jails/web")
    host.files.write("/reconciler/jails/web/jail.conf", b"web {}")
    whole = Request("zroot/reconciler", "/reconciler")
    assert host.parse(whole, host.observe(whole)).files["jails/web/jail.conf"] == b"web {}"


@pytest.mark.parametrize(
    "url",
    ["", "freebsd:x", "ssh://", "ssh://-oProxyCommand=x", "ssh://h?ProxyCommand=x", "ssh://u:p@h", "docker:x"],
)
def test_a_url_that_names_no_host_is_refused(url):
    from reconciler.hosts.open import open_runner

    with pytest.raises(SpecError, match="host-url-invalid"):
        open_runner(url)


def test_this_machine_is_a_host():
    assert isinstance(open_host("freebsd:"), FreeBSDHost)
    assert open_host("freebsd:").url == "freebsd:"


@pytest.mark.parametrize("delegated", [False, True])
def test_datasets_that_are_wanted_by_name_are_those_of_the_whole_answer(delegated):
    names = ("zroot/reconciler", "zroot/reconciler/jails", "zroot/reconciler/jails/web", "zroot/reconciler/jails/web/1")
    values = [{"guid": str(number), "jailed": "off", "reconciler:owner": "a"} for number in range(len(names))]
    values[2] |= {"jailed": "on"} if delegated else {}
    pairs = list(zip(names, values, strict=True))
    raw = [Completed(zfs.listing(names[:1]), 0, b"".join(row(name, **value) for name, value in pairs))]
    if delegated:
        argv = zfs.plain_listing(names[:1])
        columns = argv[argv.index("-o") + 1].split(",")
        usual = dict.fromkeys(columns, "-") | {"type": "filesystem", "mounted": "yes"}
        whole_rows = [usual | value | {"name": name} for name, value in pairs]
        lines = ["\t".join(one[column] for column in columns) for one in whole_rows]
        raw.append(Completed(argv, 0, "".join(f"{line}\n" for line in lines).encode()))
    seen = Observation("", tuple(raw), {})
    whole = observe.parse(OURS, seen, jailed=True).datasets
    assert [one.name for one in whole] == list(names)
    for wanted in ({names[0]}, {names[2], names[3]}, set(names), set()):
        expected = tuple(one for one in whole if one.name in wanted)
        assert observe.rows(seen, wanted.__contains__, jailed=True) == expected
