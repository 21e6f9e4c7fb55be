"""Segments are short, never split an open block, and their digests cover what they read and no more."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.makejail.blocks import Blocks
from reconciler.makejail.files import LocalFiles
from reconciler.makejail.problem import MakejailError
from reconciler.makejail.program import (
    Given,
    Program,
    compile_makejail,
    compile_text,
    segment_digest,
)
from reconciler.makejail.tokens import TokenError, tokenize, words


def names(compiled: Program) -> list[list[str]]:
    """The instructions of each segment."""
    return [[one.name for one in segment.instructions] for segment in compiled.segments]


def digests(compiled: Program) -> list[str]:
    """The chain of digests over a release."""
    chain, parent = [], "release"
    for segment in compiled.segments:
        parent = segment_digest(segment, parent, "FreeBSD:15:amd64")
        chain.append(parent)
    return chain


def changed(before: list[str], after: list[str]) -> list[bool]:
    """Which digests differ."""
    return [one != other for one, other in zip(before, after, strict=True)]


TEXT = """\
ARG port=80
OPTION start
PKG nginx
ENV A=1
RAW if [ -n "$port" ]; then
CMD one $port
RAW else
CMD two
RAW fi
VAR v=x
RUN prog
CMD last
"""


def test_each_instruction_is_a_segment_unless_a_block_is_open() -> None:
    assert names(compile_text(TEXT)) == [
        ["PKG"],
        ["ENV", "RAW", "CMD", "RAW", "CMD", "RAW"],
        ["VAR", "RUN"],
        ["CMD"],
    ]


def test_editing_the_last_instruction_changes_the_last_digest_only() -> None:
    before, after = digests(compile_text(TEXT)), digests(compile_text(TEXT.replace("CMD last", "CMD other")))
    assert changed(before, after) == [False, False, False, True]


def test_a_moved_line_and_a_comment_change_no_digest() -> None:
    assert digests(compile_text("# new\n\n" + TEXT)) == digests(compile_text(TEXT))


def test_an_argument_changes_the_segments_from_the_first_that_reads_it() -> None:
    before = digests(compile_text(TEXT, Given(arguments={})))
    after = digests(compile_text(TEXT, Given(arguments={"port": "81"})))
    assert changed(before, after) == [False, True, True, True]
    assert before == digests(compile_text(TEXT, Given(arguments={"port": "80"})))


def test_a_mention_of_the_jails_name_covers_its_value() -> None:
    text = "PKG a\nSYSRC hostname=$APPJAIL_JAILNAME\n"
    web, db = (digests(compile_text(text, Given(environment={"APPJAIL_JAILNAME": name}))) for name in ("web", "db"))
    assert changed(web, db) == [False, True]
    assert compile_text(text).segments[1].mentions == ("APPJAIL_JAILNAME",)


def test_the_digests_of_this_rule_never_change(tmp_path: Path) -> None:
    # A new version of the tool alone must plan nothing: change these only with a new rule name.
    (tmp_path / "conf").mkdir(mode=0o755)
    (tmp_path / "conf/file").write_text("content\n")
    (tmp_path / "conf/file").chmod(0o640)
    (tmp_path / "conf/link").symlink_to("file")
    tmp_path.chmod(0o755)
    assert digests(makejail(tmp_path, TEXT + "WORKDIR /w\nCOPY conf $APPJAIL_JAILNAME\n")) == GOLDEN


GOLDEN = [
    "1cfd280e248ad1b9f0780c068c215c15b3c06619b2c7f4b0c9e3b28dc4dc354b",
    "387ae3b4a1802cba6f7b6c4fdf4b753fb080f1e8acf1e21f514c3e3d02083bdc",
    "396dd07c1b72f5e827b14ab3cb4e7acc55fa67013fbaa82aaef5f18250f92dee",
    "f5e5abb043dbe11758cfc29c3c050afdc29a47a336cfbc735e600dc6b1a31028",
    "7800d97d1dfb2e149adf6d9cf531cc51f31a1cb96f519d738d377ea4af2ba52c",
    "aa555dcf26cbc539f4112bdf0b743dd4492a55c430c596b05227af31648ec39b",
]


def makejail(folder: Path, text: str) -> Program:
    """Compile `text` as the Makejail of `folder`."""
    (folder / "Makejail").write_text(text)
    return compile_makejail("Makejail", LocalFiles(), str(folder))


def test_copied_content_and_host_code_folders_are_covered(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("1")
    (tmp_path / "other").write_text("1")
    text = "COPY conf /etc/\nCMD a\nRAW b\n"
    before = digests(makejail(tmp_path, text))
    (tmp_path / "other").write_text("2")
    assert changed(before, digests(makejail(tmp_path, text))) == [False, False, True]
    (tmp_path / "conf").write_text("2")
    assert changed(before, digests(makejail(tmp_path, text))) == [True, True, True]
    # The Makejail's own text is covered line by line, not as a file of the folder.
    assert digests(makejail(tmp_path, "# c\n" + text)) == digests(makejail(tmp_path, text))


def test_a_copy_of_what_host_code_made_stays_with_that_code(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("1")
    compiled = makejail(tmp_path, "CMD a\nRAW echo x > made\nCMD b\nCOPY made /\nCOPY there /\n")
    assert names(compiled) == [["CMD"], ["RAW", "CMD", "COPY"], ["COPY"]]
    assert [source.path for segment in compiled.segments for source in segment.sources] == ["there"]


def test_segments_say_what_they_need() -> None:
    pkg, raw, cmd = compile_text("PKG nginx php84\nRAW a\nCMD b\n").segments
    assert (pkg.needs_network, pkg.packages, pkg.host_code) == (True, ("nginx", "php84"), False)
    assert (raw.host_code, raw.needs_context, raw.needs_network) == (True, True, False)
    assert (cmd.host_code, cmd.needs_context, cmd.needs_network) == (False, False, False)


def test_options_see_argument_values_only() -> None:
    compiled = compile_text("VAR v=x\nOPTION label=$port-$v\nOPTION start\nARG port=80\n", Given({"port": "81"}))
    assert [(option.name, option.value) for option in compiled.options] == [("label", "81-"), ("start", None)]


def test_all_problems_of_a_makejail_are_reported_with_their_places() -> None:
    with pytest.raises(MakejailError) as caught:
        compile_text("CDM ls\nPKG\nLOGIN\nCMD echo 'a\n")
    found = [(d.code, d.span.line if d.span else 0) for d in caught.value.diagnostics]
    assert found == [
        ("unknown-instruction", 1),
        ("usage", 2),
        ("instruction-unavailable", 3),
        ("tokenizer", 4),
    ]
    assert caught.value.status == 66
    assert "CMD" in caught.value.diagnostics[0].hint


def test_a_lost_last_line_is_a_warning() -> None:
    assert [found.code for found in compile_text("CMD a\nCMD b").warnings] == ["line-lost"]


RAW_LINES = st.sampled_from(
    [
        "if a; then",
        "else",
        "fi",
        "for x in 1; do",
        "done",
        "case a in",
        "b)",
        ";;",
        "esac",
        "{",
        "}",
        "f() {",
        "x",
        "cat <<E",
        "E",
        "echo 'a",
        "b'",
        "a &&",
        "(",
        ")",
    ]
)
LINES = st.one_of(RAW_LINES.map("RAW {}".format), st.sampled_from(["CMD a", "VAR v=1", "PKG p", "ENV A=1"]))


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=12))
def test_no_cut_splits_an_open_block_and_no_lasting_instruction_is_lost(lines: list[str]) -> None:
    compiled = compile_text("".join(f"{line}\n" for line in lines))
    for segment in compiled.segments[:-1]:
        alone = Blocks()
        for one in segment.instructions:
            alone.feed(one.text if one.name == "RAW" else ":")
        assert alone.closed
    kept = [one.name for segment in compiled.segments for one in segment.instructions]
    for name in ("RAW", "CMD", "PKG"):
        assert kept.count(name) == len([line for line in lines if line.startswith(name)])


@given(st.text())
def test_the_tokenizer_gives_words_or_its_own_error(text: str) -> None:
    with suppress(TokenError):
        tokens = tokenize(text)
        assert "".join(token.quoted for token in tokens).replace(" ", "") == text.replace(" ", "")


@given(st.lists(st.text(st.characters(exclude_characters=" \"'\\"), min_size=1)))
def test_simple_words_round_trip(simple: list[str]) -> None:
    assert words(" ".join(simple)) == simple


@given(st.lists(st.text(min_size=1)))
def test_quoted_words_round_trip(wanted: list[str]) -> None:
    quoted = ['"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in wanted]
    assert words(" ".join(quoted)) == wanted


def test_a_percent_sign_in_what_is_copied_is_one(tmp_path: Path) -> None:
    (tmp_path / "100%sure").write_text("")
    (segment,) = makejail(tmp_path, "COPY 100%sure /at%20/%d\n").segments
    assert '/at%20/%d "$RECONCILER_SOURCES"/0/100%sure' in segment.script
