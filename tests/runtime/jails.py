"""Jails to render: a few worked ones, and a strategy for any valid one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reconciler.runtime import Runtime
from reconciler.spec.document import Jail

HOSTID = "5e5e1b4c-7d22-11ef-8d0e-0800200c9a66"

VNET = {
    "bridge": "lan",
    "address": "10.77.0.2/24",
    "gateway": "10.77.0.1",
    "nat": True,
    "expose": [{"host": 80, "jail": 8080}, {"host": 53, "protocol": "udp", "interface": "em1"}],
}


def jail(**fields: Any) -> Jail:
    """A valid document; named web unless it says otherwise."""
    return Jail.model_validate({"name": "web", **fields})


def runtime(spec: Jail | None = None, **fields: Any) -> Runtime:
    """Its runtime on a host of 15.1."""
    spec = spec or jail()
    values: dict[str, Any] = {
        "jail": spec,
        "pool": "zroot/reconciler",
        "mountpoint": "/reconciler",
        "root": f"zroot/reconciler/jails/{spec.name}/5",
        "hostid": HOSTID,
        "osrelease": "15.1-RELEASE",
        "host_osrelease": "15.1-RELEASE-p1",
        "external": "em0",
        "devfs_ruleset": 5 if spec.network.vnet else 4,
    }
    return Runtime(**{**values, **fields})


FULL = jail(
    hostname="web.example",
    depends_on=["db"],
    network={"vnet": VNET, "resolver": ["10.77.0.1"]},
    volumes=[
        {"name": "www", "mountpoint": "/usr/local/www", "owner": "www", "mode": "0750"},
        {"name": "log", "mountpoint": "/var/log", "exec": False, "pool": "fast/reconciler"},
    ],
    mounts=[
        {"device": "/data/my files#1", "mountpoint": "/usr/local/www/x y"},
        {"device": "fdesc", "mountpoint": "/dev/fd", "type": "fdescfs", "options": "rw"},
    ],
    limits={"memoryuse": "512M", "maxproc": 200, "writebps": "10M"},
    devfs=["path 'bpf*' unhide"],
    keep=["/usr/local/etc/app db"],
    secrets=[
        {"name": "key", "from": {"file": "/root/the key"}, "path": "/usr/local/etc/key", "owner": "www"},
        {"name": "token", "from": {"command": ["/usr/local/bin/pass", "show", "a b"]}, "path": "/run/secrets/token"},
    ],
    parameters={"allow.raw_sockets": True, "children.max": 3, "sysvshm": "new", "allow.mount": False},
)  # fmt: skip

STAGES = {
    f"{prefix}{name}": f"echo {prefix}{name}\n"
    for name in ("create", "start", "stop")
    for prefix in ("pre", "", "post")
} | {"custom:x": "echo x\n"}

_printable = st.characters(max_codepoint=0x2FF).filter(str.isprintable)
_text = st.text(_printable, max_size=20)
_part = st.text(_printable.filter(lambda character: character != "/"), min_size=1, max_size=8)
_path = (
    st.lists(_part.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4)
    .map(lambda parts: "/" + "/".join(parts))
    .filter(lambda path: not path.startswith(("/dev", "/run")))
)
_name = st.from_regex(r"[a-z][a-z0-9_-]{0,30}", fullmatch=True)
_address4 = st.builds(lambda a, b: f"10.{a}.{b}.2/24", st.integers(0, 255), st.integers(0, 255))
_vnet = st.builds(
    lambda address, expose, nat: {
        "bridge": "lan",
        "address": address,
        "gateway": address.replace(".2/24", ".1"),
        "nat": nat,
        "expose": [{"host": port} for port in expose],
    },
    _address4,
    st.lists(st.integers(1, 65535), max_size=2, unique=True),
    st.booleans(),
)
_network = st.one_of(
    st.just({}),
    st.just({"inherit": True}),
    st.builds(lambda address: {"addresses": [{"interface": "em0", "address": address}]}, _address4),
    st.just({"addresses": [{"interface": "em0", "address": "2001:db8::5/64"}]}),
    st.builds(lambda vnet: {"vnet": vnet}, _vnet),
    st.just({"vnet": {"bridge": "bridge7", "address": "2001:db8::2/64", "gateway": "2001:db8::1"}}),
)
_parameters = st.fixed_dictionaries(
    {},
    optional={
        "allow.mlock": st.booleans(),
        "sysvshm": st.sampled_from(["new", "inherit", "disable"]),
        "children.max": st.integers(0, 999),
        "exec.start": _text,
        "exec.stop": _text,
        "env": _text,
    },
)


@st.composite
def jails(draw: st.DrawFn) -> Jail:
    """Any jail whose runtime can be written."""
    places = draw(st.lists(_path, max_size=4, unique=True))
    half = len(places) // 2
    secrets = draw(st.lists(st.tuples(_name, _path), max_size=2, unique_by=(lambda s: s[0], lambda s: s[1])))
    return jail(
        name=draw(_name),
        hostname=draw(st.none() | st.from_regex(r"[A-Za-z0-9.-]{1,40}", fullmatch=True)),
        network=draw(_network),
        volumes=[{"name": f"v{n}", "mountpoint": path} for n, path in enumerate(places[:half])],
        mounts=[{"device": "/data" + path, "mountpoint": path} for path in places[half:]],
        keep=draw(st.lists(_path, max_size=3)),
        secrets=[{"name": name, "path": path, "from": draw(st.sampled_from(_SOURCES))} for name, path in secrets],
        limits=draw(st.sampled_from([{}, {"memoryuse": "1G"}, {"pcpu:log": 50, "readbps": "1M/user"}])),
        devfs=draw(st.sampled_from([(), ("path bpf unhide",), ("hide", "type tape mode 0660 group 5 unhide")])),
        parameters=draw(_parameters),
        depends_on=draw(st.lists(_name, max_size=2)),
    )


_SOURCES: list[dict[str, Any]] = [
    {"file": '/root/it\'s $HOME `x` "y"'},
    {"command": ["/bin/echo", "$(reboot)", "'", '"', "\\", "a  b"]},
]
