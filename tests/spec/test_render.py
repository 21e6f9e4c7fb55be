"""The effective documents, as YAML that reads back as the same documents."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.main import main
from reconciler.spec.document import Healthcheck, Jail, Volume
from reconciler.spec.examine import build
from reconciler.spec.load import load
from reconciler.spec.render import of_all, of_host, render
from reconciler.spec.select import select
from reconciler.spec.specset import Source, Sourced
from reconciler.spec.yaml import parse

FLEET = Path(__file__).parents[2] / "specs"


def read_back(text):
    """The documents of rendered text."""
    parsed = parse(text.encode(), "rendered")
    assert parsed.diagnostics == ()
    return [build(value["kind"], value) for value in parsed.values]


def test_the_worked_fleet_reads_back_as_it_was():
    specs = load(FLEET)
    assert read_back(render(of_all(specs))) == [item.doc for _, item in specs.documents()]


def test_what_a_host_adds_is_marked_and_reads_back():
    documents = of_host(select(load(FLEET), "anything"))
    text = render(documents)
    assert read_back(text) == [item.doc for _, item in documents]
    assert "release: 15.1-RELEASE  # default" in text and "  - name: log  # default" in text


def test_nothing_that_the_user_wrote_is_marked(tmp_path):
    (tmp_path / "web.yaml").write_text(
        "kind: Jail\nname: web\nrelease: 15.1-RELEASE\nboot: false\nlimits: {maxproc: 3}\n"
    )
    lines = render(of_all(load(tmp_path))).splitlines()
    written = [line for line in lines if not line.endswith("# default")][1:]
    assert written == ["kind: Jail", "name: web", "release: 15.1-RELEASE", "boot: false", "limits:", "  maxproc: 3"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=100, deadline=None)
@given(
    labels=st.dictionaries(TEXT, TEXT, max_size=3),
    argv=st.lists(TEXT, min_size=1, max_size=3),
    interval=st.integers(0, 86_400_000).map(lambda milliseconds: milliseconds / 1000),
    quota=st.integers(0, 2**63 - 1),
    value=st.one_of(st.booleans(), st.integers(-(2**62), 2**62), TEXT),
)
def test_any_value_reads_back_the_same(labels, argv, interval, quota, value):
    jail = Jail(
        name="web",
        labels=labels,
        healthcheck=Healthcheck(command=tuple(argv), interval=interval),
        volumes=(Volume(name="a", mountpoint="/a", quota=quota),),
        parameters={"meta.x": value},
    )
    item = Sourced(Source("f", "/f", b"kind: Jail\n", ""), 0, {}, lambda: jail)
    assert read_back(render([("Jail", item)])) == [jail]


def test_the_command_shows_the_documents_of_a_machine(capsys):
    assert main(["render", str(FLEET), "--host-name", "anything"]) == 0
    assert "name: proxy" in capsys.readouterr().out
    assert main(["render", str(FLEET), "--label", "nonsense"]) == 64
