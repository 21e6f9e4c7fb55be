"""What instructions do in a build: ADD and REPLACE inside the jail, the rest is data."""

import io
import tarfile
from pathlib import Path

import pytest

from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import Given, compile_text

from .test_segment_scripts import Host, program

# Runs what jexec is given as if its absolute paths were those of the folder $JAIL.
INSIDE = """#!/bin/sh
shift 2
case $1 in
sh) exec sh -c "$3" sh "$JAIL$5" "$6" "$7" "$JAIL$8" ;;
tar) exec tar -C "$JAIL$3" "$4" - ;;
esac
"""
FETCH = """#!/bin/sh
for url; do :; done
exec cat "$ARCHIVES/$url"
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host whose jail is the folder `jail`."""
    (tmp_path / "context").mkdir()
    made = Host(tmp_path / "host", tmp_path / "context")
    made.tool("jexec", INSIDE)
    made.tool("fetch", FETCH)
    (tmp_path / "jail/etc").mkdir(parents=True)
    return made


def build(host: Host, text: str, tmp_path: Path) -> int:
    """The status of the one segment that `text` is."""
    (segment,) = program(tmp_path / "context", text).segments
    return host.run(segment.script, JAIL=str(tmp_path / "jail"), ARCHIVES=str(tmp_path)).returncode


@pytest.mark.parametrize(
    ("before", "line", "after"),
    [
        ("a=%{k}\nb=%{k};%{k}\n", "REPLACE /etc/f k v", "a=v\nb=v;v\n"),
        ("%{k}%{k}\n", "REPLACE /etc/f k v", "v%{k}\n"),
        ("x%{k}\n", 'REPLACE /etc/f k "a&b"', "xax%{k}b\n"),
        ("%{k} %%{k} %{other}\n", "REPLACE /etc/f k v", "v %{k} %{other}\n"),
        ("%{k}\n", 'REPLACE /etc/f k "a/b#c\\\\d"', "a/b#c\\d\n"),
        ("%{k}\n", "REPLACE /etc/f k", "\n"),
        ("%{a.b} %{axb}\n", "REPLACE /etc/f a.b v", "v %{axb}\n"),
        ("%{k}\n", "VAR v=two words\nREPLACE /etc/f k $v", "two words\n"),
    ],
)
def test_replace_follows_the_originals_rules(host: Host, tmp_path: Path, before: str, line: str, after: str) -> None:
    file = tmp_path / "jail/etc/f"
    file.write_text(before)
    number = file.stat().st_ino
    assert build(host, line + "\n", tmp_path) == 0
    assert (file.read_text(), file.stat().st_ino) == (after, number)


def test_replace_with_an_output_unescapes_the_file_all_the_same(host: Host, tmp_path: Path) -> None:
    (tmp_path / "jail/etc/f").write_text("%{k} %%{k}\n")
    assert build(host, "REPLACE f k v g\n", tmp_path) == 66
    assert build(host, "REPLACE etc/f k v etc/g\n", tmp_path) == 0
    assert (tmp_path / "jail/etc/g").read_text() == "v %%{k}\n"
    assert (tmp_path / "jail/etc/f").read_text() == "%{k} %{k}\n"


def test_replace_of_a_key_that_is_not_there_ends_with_65(host: Host, tmp_path: Path) -> None:
    (tmp_path / "jail/etc/f").write_text("%%{k}\n")
    assert build(host, "REPLACE /etc/f k v\n", tmp_path) == 65


def test_add_unpacks_an_archive_inside_the_jail(host: Host, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("sub/file")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"data"))
    assert build(host, "ADD a.tar /etc\n", tmp_path) == 0
    assert (tmp_path / "jail/etc/sub/file").read_text() == "data"
    assert build(host, "ADD --verbose missing.tgz /etc\n", tmp_path) == 1


def test_add_says_that_it_is_not_pinned_and_needs_the_network() -> None:
    compiled = compile_text("ADD http://h/x.tgz\n")
    assert [found.code for found in compiled.warnings] == ["add-unpinned"]
    assert compiled.segments[0].needs_network


EFFECTS = """\
ARG p=1
MOUNT /host/$p mnt tmpfs ro 1 2
MOUNT /gone /gone
UMOUNT gone
DEVICE path 'bpf*' unhide
VOLUME --mountpoint /x --owner 80 data
SET --row 1 allow.mount=$unknown
LABEL team=web
"""


def test_what_a_build_does_not_do_is_data() -> None:
    compiled = compile_text(EFFECTS, Given({"p": "2"}))
    (mount,) = compiled.mounts
    assert (compiled.value(mount.device), compiled.value(mount.type), mount.dump, mount.order) == (
        "/host/2",
        "tmpfs",
        "1",
        "2",
    )
    assert [compiled.value(device.rule) for device in compiled.devices] == ["path 'bpf*' unhide"]
    (volume,) = compiled.volumes
    assert (volume.name.static, volume.owner and volume.owner.static, volume.mode) == ("data", "80", None)
    (parameter,) = compiled.parameters
    assert compiled.value(parameter.parameter) is None and parameter.row.static == "1"
    assert [label.key for label in compiled.labels] == ["team"]
    assert (compiled.warnings, compiled.segments) == ((), ())


@pytest.mark.parametrize("line", ["LOGIN", "DESTROY old", "FROM --entrypoint none img"])
def test_what_a_build_cannot_carry_out_is_refused_before_any_build(line: str) -> None:
    with pytest.raises(MakejailError) as caught:
        compile_text(f"CMD a\n{line}\n")
    (found,) = caught.value.diagnostics
    assert (found.code, caught.value.status, found.span and found.span.line) == ("instruction-unavailable", 69, 2)
    assert found.hint


@pytest.mark.parametrize(
    "line", ["PKG ${x", "CMD --workdir ${ b", "REPLACE f k ${", "OPTION ${x", "ARG a=${x", "STAGE cmd\nARG a=${x"]
)
def test_text_that_breaks_its_own_quoting_is_refused_before_any_build(line: str) -> None:
    with pytest.raises(MakejailError) as caught:
        compile_text(f"{line}\n")
    assert [found.code for found in caught.value.diagnostics] == ["quoting"]


@pytest.mark.parametrize(
    ("stage", "line", "field"),
    [
        ("start", "MOUNT --nomount a b", "mounts: [{device: a, mountpoint: b"),
        ("cmd", "MOUNT --nopersist a b '<pseudofs>'", "mounts: "),
        ("start", "VOLUME v", "volumes: [{name: v, mountpoint: /volumes/v}]"),
        ("start", "SET vnet.interface=x", "parameters: {vnet.interface: x}"),
        ("start", "SET --column 1 allow.mount=1", "parameters: "),
        ("start", "SET --mark allow.mount", "parameters: {allow.mount: true}"),
        ("create", "SET children.max=1", "parameters: {children.max: 1}"),
        ("start", "LABEL a=b", "labels: {a: b}"),
    ],
)
def test_what_no_stage_can_do_is_skipped_and_said_with_what_to_write(stage: str, line: str, field: str) -> None:
    compiled = compile_text(f"STAGE {stage}\n{line}\n")
    (found,) = compiled.warnings
    assert (found.code, compiled.effects, compiled.labels) == ("makejail-effect-ignored", (), ())
    assert field in found.hint and compiled.stages[stage].endswith(f"{line.split()[0]}\n")


MOMENTS = [
    ("MOUNT /a b", "reconciler_mount b /a nullfs rw"),
    ("MOUNT --nopersist $x b tmpfs", 'reconciler_mount b "$x" tmpfs rw'),
    ("UMOUNT b", "reconciler_umount b"),
    ("DEVICE path 'bpf*' unhide", "devfs -m \"$APPJAIL_JAILDIR/dev\" rule apply path 'bpf*' unhide </dev/null"),
    ("SET allow.mount", 'jail -m name="$RECONCILER_JAIL" allow.mount'),
    ('SET allow.mount="1" x', 'jail -m name="$RECONCILER_JAIL" allow.mount=1,x'),
]


@pytest.mark.parametrize(("line", "code"), MOMENTS)
@pytest.mark.parametrize("stage", ["start", "stop", "custom:x"])
def test_what_a_stage_does_at_its_moment_stands_in_its_script(line: str, code: str, stage: str) -> None:
    compiled = compile_text(f"STAGE {stage}\n{line}\n")
    assert f"\n{code}\n" in compiled.stages[stage] and compiled.effects == ()
    stays = stage != "start" and not line.startswith(("UMOUNT", "MOUNT --nopersist"))
    assert [found.code for found in compiled.warnings] == ["makejail-effect-passing"] * stays
    reaches = not line.startswith("SET")
    assert bool(compiled.hooks) == reaches


def test_a_mount_for_the_build_alone_belongs_to_the_segment_after_it_and_is_no_part_of_the_document() -> None:
    compiled = compile_text("MOUNT --nopersist /a /b\nCMD one\nMOUNT /c d\nUMOUNT b/\nUMOUNT d\n")
    assert [[one.name for one in segment.instructions] for segment in compiled.segments] == [
        ["MOUNT", "CMD"],
        ["UMOUNT"],
    ]
    assert compiled.mounts == () and all(segment.host_code for segment in compiled.segments)
    assert "reconciler_mount /b /a nullfs rw\n" in compiled.segments[0].script


@pytest.mark.parametrize("line", ["MOUNT a b", "DEVICE path x unhide", "VOLUME v", "SET a=b", "LABEL a=b"])
def test_a_raw_block_does_not_guard_them_and_that_is_said(line: str) -> None:
    guarded = compile_text(f"RAW if false; then\n{line}\nRAW fi\nCMD true\n")
    assert [(found.code, found.span and found.span.line) for found in guarded.warnings] == [("effect-unconditional", 2)]


def test_no_layer_changes_with_them() -> None:
    plain, more = compile_text("CMD true\n"), compile_text("VOLUME v\nSET a=b\nCMD true\nLABEL a=b\n")
    assert [one.reads for one in plain.segments] == [one.reads for one in more.segments]
    assert [[one.text for one in s.instructions] for s in more.segments] == [["true"]]


def test_what_is_cleared_is_neither_refused_nor_warned_about() -> None:
    compiled = compile_text("LOGIN\nMOUNT a b\nCLEAR stage\nCMD a\n")
    assert (compiled.warnings, compiled.mounts) == ((), ())


@pytest.mark.parametrize("stage", ["cmd", "postcmd", "apply", "custom:x"])
def test_a_login_stands_in_the_stages_that_a_person_runs(stage: str) -> None:
    compiled = compile_text(f"STAGE {stage}\nLOGIN --user $who x\nLOGIN\n")
    assert (
        '\nreconciler_login "$who"\n' in compiled.stages[stage]
        and "\nreconciler_login root\n" in compiled.stages[stage]
    )


@pytest.mark.parametrize(
    ("stage", "line"), [("start", "LOGIN"), ("create", "LOGIN"), ("cmd", "RESTART"), ("cmd", "START")]
)
def test_no_other_stage_has_it_and_none_has_what_only_a_build_has(stage: str, line: str) -> None:
    with pytest.raises(MakejailError) as caught:
        compile_text(f"STAGE {stage}\n{line}\n")
    (found,) = caught.value.diagnostics
    assert (found.code, caught.value.status) == ("instruction-stage", 66) and found.hint


@pytest.mark.parametrize(("first", "sizes"), [("MOUNT --nopersist /a b", [2, 1]), ("RAW touch x", [3])])
def test_a_mount_makes_nothing_that_a_copy_might_read(first: str, sizes: list[int]) -> None:
    compiled = compile_text(f"{first}\nCMD a\nCOPY $APPJAIL_JAILNAME/x /y\n")
    assert [len(segment.instructions) for segment in compiled.segments] == sizes


def test_the_apply_stage_is_kept_with_the_others() -> None:
    compiled = compile_text("CMD true\nSTAGE apply\nARG a=1\nCMD echo $a\nSTAGE cmd\nCMD x\nSTAGE apply\nMOUNT /x y\n")
    assert "--a)" in compiled.stages["apply"] and "reconciler_mount y /x nullfs rw\n" in compiled.stages["apply"]
    assert [found.code for found in compiled.warnings] == ["makejail-effect-passing"]
    assert [[one.name for one in segment.instructions] for segment in compiled.segments] == [["CMD"]]
