"""A remembered plan: given only while every byte it rests on is the same, and then word for word the full one."""

import json
import os
from pathlib import Path

import pytest

from reconciler import verdicts
from reconciler.cli import unchanged
from reconciler.cli.main import main
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.recorded import Recorded
from reconciler.makejail.recorded import unchanged as answers_stand

APP = """kind: Jail
name: app
release: 15.1-RELEASE
state: stopped
makejail: {file: app.makejail}
"""
MAKEJAIL = "INCLUDE part.makejail\nCOPY motd /etc/motd\n"


def known() -> str | None:
    """What would be answered without a full plan."""
    memory = unchanged.memory(Path("specs"), os.environ["RECONCILER_HOST"], {}, None)
    assert memory is not None
    return memory.recall()


def settle(desk) -> None:
    desk.write("app.yaml", APP)
    desk.write("app.makejail", MAKEJAIL)
    desk.write("part.makejail", "CMD chmod 700 /root\n")
    desk.write("motd", "hello\n")
    applied = desk.run("apply")
    assert applied.status == 0, applied
    assert known() is None
    planned = desk.run("plan")
    assert planned.out == "No changes. 1 jail is as its spec says.\n"
    assert desk.run("sandbox", "shutdown").status == 0


@pytest.fixture
def settled(shelf, capsys, monkeypatch):
    """A desk whose host has converged, and whose plan has said so once."""
    yield shelf.take("settled", capsys, monkeypatch, settle)
    main(("sandbox", "shutdown"))


def test_a_remembered_answer_is_the_full_one(settled):
    full = settled.run("plan", "--no-cache")
    assert known() == full.out
    remembered = settled.run("plan", "--detailed-exitcode")
    assert (remembered.status, remembered.out, remembered.err) == (full.status, full.out, full.err)


@pytest.mark.parametrize("name", ["app.yaml", "app.makejail", "part.makejail", "motd"])
def test_one_byte_of_any_file_that_was_read_makes_it_unknown(settled, name):
    assert known() is not None
    file = settled.folder / "specs" / name
    file.write_text(file.read_text() + "# \n")
    assert known() is None
    assert settled.run("plan").status == 0


def test_a_file_of_the_host_that_changed_makes_it_unknown_and_is_seen(settled):
    conf = next((settled.folder / "box").glob("data/*/jail.conf"))
    conf.write_bytes(conf.read_bytes() + b"\n")
    assert known() is None
    assert "write jail.conf" in settled.run("plan").out


def test_a_property_of_the_host_that_changed_makes_it_unknown_and_is_seen(settled):
    settled.zfs("set", "reconciler:good=7", "zroot/reconciler/jails/app")
    assert known() is None
    assert "record root 1 as good" in settled.run("plan").out


def test_a_hold_that_went_makes_it_unknown_and_is_put_back(settled):
    settled.zfs("release", "reconciler", "zroot/reconciler/releases/15.1-RELEASE-p0@sealed")
    assert known() is None
    assert "correct dataset releases/15.1-RELEASE-p0" in settled.run("plan").out


def test_another_version_of_the_tool_makes_it_unknown(settled, monkeypatch):
    monkeypatch.setattr(verdicts, "__version__", "0.0.1")
    assert known() is None


def test_another_question_is_another_answer(settled):
    here = os.environ["RECONCILER_HOST"]
    for memory in (
        unchanged.memory(Path("specs"), here, {}, ["app"]),
        unchanged.memory(Path("specs"), here, {"rack": "1"}, None),
        unchanged.memory(Path("specs/app.yaml"), here, {}, None),
        unchanged.memory(Path("specs"), f"sandbox:{settled.folder}/other", {}, None),
    ):
        assert memory is not None
        assert verdicts.recall(memory.folder, memory.question) is None


def test_a_plan_that_has_anything_to_say_is_not_remembered(settled):
    settled.run("suspend", "app", "--reason", "moving house")
    assert "moving house" in settled.run("plan").out
    assert known() is None


@pytest.mark.parametrize("spoil", ["damaged", "strange", "writable"])
def test_a_verdict_that_cannot_be_trusted_is_none(settled, spoil):
    folder = settled.folder / "cache/reconciler/verdicts"
    (file,) = folder.iterdir()
    if spoil == "damaged":
        file.write_text(file.read_text()[:-9])
    elif spoil == "strange":
        file.write_text(json.dumps({"code": verdicts.code_digest(), "specs": 7}))
    else:
        folder.chmod(0o777)
    assert known() is None


def test_nothing_is_remembered_or_recalled_without_cache(desk):
    desk.write("app.yaml", APP.replace("makejail: {file: app.makejail}\n", ""))
    desk.run("apply")
    desk.run("plan", "--no-cache")
    assert not (desk.folder / "cache/reconciler/verdicts").exists()


def test_every_kind_of_look_at_a_file_is_held_against_the_next(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("a")
    (tmp_path / "link").symlink_to("folder")
    recorded = Recorded(LocalFiles())
    recorded.read(f"{tmp_path}/none")
    recorded.isdir(f"{tmp_path}/link")
    recorded.realpath(f"{tmp_path}/link")
    list(recorded.walk(f"{tmp_path}/folder") or ())
    assert answers_stand(recorded.asked, LocalFiles())
    for change in (
        lambda: (tmp_path / "none").write_text(""),
        lambda: (tmp_path / "folder/file").chmod(0o600),
        lambda: (tmp_path / "link").unlink(),
    ):
        before = dict(recorded.asked)
        change()
        assert not answers_stand(before, LocalFiles())
        for question in list(recorded.asked):
            verb, _, path = question.partition(" ")
            getattr(recorded, verb)(path)
