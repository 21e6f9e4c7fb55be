"""The demo claims nothing that is not so, and removes nothing that it did not make."""

from reconciler.cli.main import main

from .conftest import SPECS


def test_the_demo_removes_no_folder_that_it_did_not_make(folder):
    folder.mkdir()
    (folder / "mine").write_text("mine")

    assert main(["demo", str(folder), "--specs", str(SPECS)]) == 64
    assert (folder / "mine").read_text() == "mine"


def test_the_demo_wants_the_example_fleet(folder, tmp_path, capsys):
    assert main(["demo", str(folder), "--specs", str(tmp_path)]) == 64
    assert "does not hold the example fleet" in capsys.readouterr().err
    assert not folder.exists()


def test_what_does_not_come_out_as_claimed_fails_the_demo(folder, tmp_path, capfd):
    specs = tmp_path / "specs"
    specs.mkdir()
    for name in ("host.yaml", "releases.yaml"):
        (specs / name).write_text((SPECS / name).read_text())
    (specs / "site.yaml").write_text("kind: Jail\nname: Not A Name\n")

    assert main(["demo", str(folder), "--specs", str(specs)]) == 1
    assert "The demo failed: `reconcile plan" in capfd.readouterr().err
