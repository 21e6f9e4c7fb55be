"""What is generated is what lies in the repository, and says everything that there is to say."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
_spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
assert _spec is not None and _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)
COMMANDS = dict(generate.every_command())


@pytest.mark.parametrize("path", generate.generated(), ids=lambda path: path.name)
def test_a_generated_file_is_what_its_generator_writes(path):
    assert path.read_text() == generate.generated()[path], "run: make docs"


def test_every_field_of_the_specs_stands_in_the_reference():
    from reconciler.spec.document import KINDS

    text = (DOCS / "reference" / "spec.md").read_text()
    for name, model in KINDS.items():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        missing = [f.alias or n for n, f in model.model_fields.items() if f"| `{f.alias or n}` |" not in section]
        assert not missing, f"{name} lacks {missing}"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_and_option_stands_in_the_pages(words):
    told = [param for param in COMMANDS[words].params if param.name != "help"]
    section = (DOCS / "commands.md").read_text().split(f"\n## reconcile {words}\n")[1].split("\n## ")[0]
    manual = (DOCS / "man" / "reconcile.8").read_text().split(f"\n.Ss {words}\n")[1].split("\n.Ss ")[0]
    for param in told:
        for option in param.opts if param.param_type_name == "option" else ():
            assert re.search(rf"^\| `(\S+, )*{option}[ ,`]", section, re.MULTILINE)
            flag = f"Fl {'Fl ' if option.startswith('--') else ''}{option.lstrip('-')}"
            assert re.search(rf"^\.It .*{flag}( |$)", manual, re.MULTILINE)


def test_the_manual_page_is_sound_mdoc():
    linter = shutil.which("mandoc")
    if linter is None:  # only some machines have it; what it would say is checked on those that do
        return
    page = DOCS / "man" / "reconcile.8"
    done = subprocess.run([linter, "-Tlint", "-W", "warning", page], capture_output=True, text=True)
    assert done.stdout == ""
