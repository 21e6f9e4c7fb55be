"""Files and folders, the cache, and the command line."""

import json
import os

import pytest

from reconciler.cli.main import main
from reconciler.model.diagnostic import SpecError
from reconciler.spec import files
from reconciler.spec.load import digest_of, examine, load

JAIL = "kind: Jail\nname: {}\nrelease: 15.1-RELEASE\n"


def codes(path):
    return [problem.code for problem in examine(path)[1]]


def test_a_folder_is_read_in_order_without_hidden_files_and_linked_folders(tmp_path):
    specs = tmp_path / "specs"
    (specs / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.yaml").write_text("broken: [")
    (specs / "linked").symlink_to(tmp_path / "elsewhere")
    (specs / ".hidden.yaml").write_text("broken: [")
    (specs / "reconcile.lock").write_text("broken: [")
    (specs / "notes.txt").write_text("broken: [")
    (specs / "b.yaml").write_text(JAIL.format("b"))
    (specs / "sub" / "a.yml").write_text(JAIL.format("a"))
    loaded = load(specs)
    assert list(loaded.jails) == ["b", "a"]
    assert loaded.jails["a"].file == str(specs / "sub" / "a.yml")


def test_files_are_named_as_the_user_typed_them(tmp_path, monkeypatch):
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "web.yaml").write_text(JAIL.format("web"))
    monkeypatch.chdir(tmp_path)
    assert load("specs").jails["web"].file == "specs/web.yaml"
    assert load("specs/web.yaml").jails["web"].file == "specs/web.yaml"


def test_a_link_to_a_file_stays_in_the_tree_or_is_refused(tmp_path):
    (tmp_path / "outside.yaml").write_text(JAIL.format("a"))
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "real.yaml").write_text(JAIL.format("b"))
    (specs / "link.yaml").symlink_to("../outside.yaml")
    assert codes(specs) == ["symlink-outside"]
    (specs / "link.yaml").unlink()
    (specs / "again.yaml").symlink_to("real.yaml")
    assert codes(specs) == ["duplicate-name"]


def test_what_cannot_be_read_says_so(tmp_path):
    assert codes(tmp_path / "none") == ["unreadable-file"]
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "dangling.yaml").symlink_to("nothing.yaml")
    assert codes(tmp_path) == ["unreadable-file", "unreadable-file"]


def test_large_files_and_folders_are_refused_before_they_are_read(tmp_path, monkeypatch):
    with open(tmp_path / "a.yaml", "wb") as sparse:
        sparse.truncate(files.MAX_FILE + 1)
    assert codes(tmp_path) == ["yaml-too-large"]
    (tmp_path / "a.yaml").write_text(JAIL.format("a"))
    (tmp_path / "b.yaml").write_text(JAIL.format("b"))
    monkeypatch.setattr(files, "MAX_TOTAL", 60)
    assert codes(tmp_path) == ["yaml-too-large"]


@pytest.mark.parametrize("text", [None, "", "# kind: Jail\n"])
def test_a_folder_without_specs_is_a_warning(tmp_path, text):
    if text is not None:
        (tmp_path / "a.yaml").write_text(text)
    specs, problems = examine(tmp_path)
    assert [(problem.code, problem.severity) for problem in problems] == [("no-documents", "warning")]
    assert not specs.jails


def test_all_problems_of_all_files_are_reported_at_once(tmp_path):
    (tmp_path / "a.yaml").write_text("kind: Jail\nname: A\n")
    (tmp_path / "b.yaml").write_text("kind: [")
    (tmp_path / "c.yaml").write_text(JAIL.format("c") + "boot: on\n")
    with pytest.raises(SpecError) as raised:
        load(tmp_path)
    assert [problem.code for problem in raised.value.diagnostics] == ["bad-value", "yaml-syntax", "wrong-type"]


def test_nothing_is_called_unknown_while_a_file_cannot_be_read(tmp_path):
    (tmp_path / "a.yaml").write_text(JAIL.format("a") + "depends_on: [b]\nhosts: [h]\npackages: [{name: p}]\n")
    (tmp_path / "b.yaml").write_text("kind: [")
    assert codes(tmp_path) == ["yaml-syntax"]


def test_the_digest_moves_with_content_and_names_only(tmp_path):
    (tmp_path / "a.yaml").write_text(JAIL.format("a"))
    first = digest_of(tmp_path)
    assert load(tmp_path).digest == first
    os.utime(tmp_path / "a.yaml", (1, 1))
    assert digest_of(tmp_path) == first
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    second = digest_of(tmp_path)
    (tmp_path / "b.yaml").write_text(JAIL.format("b"))
    assert len({first, second, digest_of(tmp_path)}) == 3


def fleet(tmp_path):
    """A small fleet with a warning and a Makejail, and a folder for its cache."""
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "x.makejail").write_text("PKG nginx\n")
    (specs / "a.yaml").write_text(JAIL.format("a") + "makejail: {file: x.makejail}\n")
    (specs / "b.yaml").write_text(JAIL.format("b") + "state: stopped\nhealthcheck: {command: [x]}\n")
    return specs, tmp_path / "cache"


def test_a_warm_load_is_the_same_as_a_cold_one(tmp_path):
    specs, cache = fleet(tmp_path)
    cold, warm = load(specs, cache), load(specs, cache)
    assert cold.digest == warm.digest and cold.warnings == warm.warnings and len(warm.warnings) == 1
    assert {name: item.doc for name, item in cold.jails.items()} == {
        name: item.doc for name, item in warm.jails.items()
    }
    assert warm.jails["b"].place(("state",)) == cold.jails["b"].place(("state",))


def test_a_warm_load_sees_changes_and_missing_files(tmp_path):
    specs, cache = fleet(tmp_path)
    load(specs, cache)
    (specs / "x.makejail").unlink()
    with pytest.raises(SpecError):
        load(specs, cache)
    (specs / "x.makejail").write_text("")
    (specs / "a.yaml").write_text(JAIL.format("changed"))
    assert set(load(specs, cache).jails) == {"changed", "b"}


def test_errors_are_not_remembered(tmp_path):
    specs, cache = fleet(tmp_path)
    load(specs, cache)
    (specs / "c.yaml").write_text(JAIL.format("a"))
    for _ in range(2):
        assert [p.code for p in examine(specs, cache)[1]] == ["healthcheck-unused", "duplicate-name"]


@pytest.mark.parametrize("spoil", ["garbage", "empty", "other", "writable", "folder"])
def test_a_cache_that_cannot_be_trusted_is_not_used(tmp_path, spoil):
    specs, cache = fleet(tmp_path)
    load(specs, cache)
    (held,) = cache.iterdir()
    assert held.stat().st_mode & 0o077 == 0 and cache.stat().st_mode & 0o077 == 0
    planted = json.loads(held.read_text())
    for documents in planted["files"].values():
        documents[0][1]["name"] = "planted"
    held.write_text(json.dumps(planted))
    if spoil == "garbage":
        held.write_text("[" * 100_000)
    elif spoil == "empty":
        held.write_text("{}")
    elif spoil == "other":
        held.write_text(json.dumps({**planted, "code": "another version"}))
    elif spoil == "writable":
        held.chmod(0o666)
    else:
        cache.chmod(0o777)
    assert set(load(specs, cache).jails) == {"a", "b"}


def test_validate_says_how_many_documents_are_valid(tmp_path, capsys):
    specs, _ = fleet(tmp_path)
    assert main(["validate", str(specs)]) == 0
    out = capsys.readouterr().out
    assert "warning[healthcheck-unused]" in out and "2 documents are valid (1 warning)." in out


def test_validate_shows_the_line_with_a_caret(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text(JAIL.format("a") + "boot: yes\n")
    assert main(["validate", str(tmp_path)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[:4] == [
        "error[wrong-type]: Value has the wrong type",
        f"  --> {tmp_path}/a.yaml:4:7",
        "  4 | boot: yes",
        "    |       ^",
    ]
    assert "  hint: YAML 1.2 takes only true and false: boot: true" in out and out[-1] == "1 error"


def test_validate_answers_json(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text(JAIL.format("A"))
    assert main(["validate", str(tmp_path), "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)
    assert (problem["code"], problem["line"], problem["column"]) == ("bad-value", 2, 7)


def test_nothing_of_a_spec_can_steer_the_terminal(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text('kind: Jail\nname: "\\e[31mred"\n"\\e[2Jx": 1\n# \u009b31m\u202e\n')
    main(["validate", str(tmp_path)])
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_usage_errors_are_64(tmp_path, capsys):
    assert main(["validate", "--nonsense"]) == 64
    assert main(["nonsense"]) == 64
    assert main(["--version"]) == 0
    assert "reconcile 0" in capsys.readouterr().out


def test_the_worked_fleet_is_valid():
    folder = os.path.join(os.path.dirname(__file__), "..", "..", "specs")
    specs, problems = examine(os.path.normpath(folder))
    assert problems == () and len(specs.jails) >= 8
