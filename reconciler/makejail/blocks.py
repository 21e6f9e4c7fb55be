"""Finds where a script may be cut: a careful reader of sh(1) for RAW lines.

It follows quotes, substitutions, here-documents, compound commands and function bodies across
lines. It is not a parser: whatever it does not understand, or whose effect a later script could
not get back (traps, aliases, descriptors, code that is built at run time), holds the script
together from there on. So a cut may be missing, but is never wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_OPENERS = {"if": "if", "while": "loop", "until": "loop", "for": "loop", "case": "case-word", "{": "{"}
_CLOSERS = {"fi": "if", "done": "loop", "}": "{"}
_THEN = frozenset({"then", "do", "else", "elif", "!"})
_HOLDING = frozenset(
    {"eval", ".", "source", "exec", "trap", "alias", "unalias", "wait", "ulimit", "builtin", "getopts"}
)
# The options of set that a saved environment gives back, and the long names of those it does not.
_KEPT_OPTIONS = frozenset("aCefuvxo-")
_LOST_OPTIONS = frozenset({"monitor", "notify", "noexec", "trapsasync", "physical", "privileged", "interactive"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_QUOTED = re.compile(r'[^\\"$`]+')
_PLAIN = re.compile(r"[^\\'\"$`# \t\n;&|()<>]+")
_LEXICAL = frozenset({"'", '"', "`", "${", "$((", "$'"})


@dataclass(slots=True)
class _Frame:
    kind: str
    function: int = -1
    parens: int = 0
    outer: tuple[str, int, bool, bool, str] = ("", -1, False, False, "")


@dataclass(slots=True)
class Blocks:
    """Reads a script piece by piece. `functions` are (start, end) offsets into `text`."""

    text: str = ""
    held: bool = False
    functions: list[tuple[int, int]] = field(default_factory=list)
    empty_body: bool = False
    _frames: list[_Frame] = field(default_factory=list)
    _word: str = ""
    _quoted: bool = False
    _word_at: int = -1
    _command: bool = True
    _waiting: bool = False
    _function: int = -1
    _redirect: bool = False
    _previous: str = ""
    _documents: list[tuple[str, bool]] = field(default_factory=list)
    _reading: list[tuple[str, bool]] = field(default_factory=list)
    _joined: bool = False
    _at: int = 0

    @property
    def closed(self) -> bool:
        """Whether everything that was opened is closed, so that the script may be cut here."""
        waiting = self._waiting or self._joined or self._function >= 0
        return not (self.held or self._frames or self._reading or self._documents or waiting)

    @property
    def between_commands(self) -> bool:
        """Whether a comment line may be put here."""
        lexical = any(frame.kind in _LEXICAL for frame in self._frames)
        return not (lexical or self._reading or self._joined)

    def feed(self, line: str) -> None:
        """Read one or more whole lines; the newline after the last is added."""
        for piece in line.split("\n"):
            self._feed_line(piece)

    def feed_command(self, script: str) -> None:
        """Read a whole command of an instruction: where nothing is open, what it holds changes nothing."""
        self.feed(":" if self.closed else script)

    def _feed_line(self, line: str) -> None:
        start = len(self.text)
        self.text += line + "\n"
        self._joined = False
        if self._reading:
            self._document_line(line)
            return
        at = start
        while at < len(self.text):
            at = self._step(at)
        if self._documents and not self.between_commands and not self._joined:
            self.held = True
        if self._documents and not self._joined:
            self._reading, self._documents = self._documents, []

    def _document_line(self, line: str) -> None:
        delimiter, tabs = self._reading[0]
        if (line.lstrip("\t") if tabs else line) == delimiter:
            self._reading.pop(0)

    def _step(self, at: int) -> int:
        kind = self._frames[-1].kind if self._frames else ""
        match kind:
            case "'":
                return self._until("'", at)
            case "$'":
                return self._until("'", at, escapes=True)
            case "`":
                return self._until("`", at, escapes=True)
            case '"':
                return self._double(at)
            case "${":
                return self._brace(at)
            case "$((":
                return self._arithmetic(at)
        return self._code(at, kind)

    def _until(self, quote: str, at: int, escapes: bool = False) -> int:
        if not escapes:
            end = self.text.find(quote, at)
            if end < 0:
                return len(self.text)
            self._frames.pop()
            return end + 1
        if escapes and self.text[at] == "\\":
            return at + 2
        if self.text[at] == quote:
            self._frames.pop()
        return at + 1

    def _double(self, at: int) -> int:
        if plain := _QUOTED.match(self.text, at):
            return plain.end()
        char = self.text[at]
        if char == "\\":
            return at + 2
        if char == '"':
            self._frames.pop()
            return at + 1
        return self._substitution(at) or at + 1

    def _brace(self, at: int) -> int:
        char = self.text[at]
        if char == "\\":
            return at + 2
        if char == "}":
            self._frames.pop()
        elif char == "'":
            # Inside double quotes shells disagree on what a single quote means here.
            if any(frame.kind == '"' for frame in self._frames):
                self.held = True
            else:
                self._frames.append(_Frame("'"))
        elif char == '"':
            self._frames.append(_Frame('"'))
        else:
            return self._substitution(at) or at + 1
        return at + 1

    def _arithmetic(self, at: int) -> int:
        char, frame = self.text[at], self._frames[-1]
        if char in "'\"":
            self._frames.append(_Frame(char))
        elif char == "(":
            frame.parens += 1
        elif char == ")":
            frame.parens -= 1
            if not frame.parens:
                self._frames.pop()
        else:
            return self._substitution(at) or at + 1
        return at + 1

    def _substitution(self, at: int) -> int:
        """Open the substitution that starts here; 0 when there is none."""
        text = self.text
        if text[at] == "`":
            self._frames.append(_Frame("`"))
            return at + 1
        for opening in ("$((", "$(", "${"):
            if text.startswith(opening, at):
                outer = (self._word, self._word_at, self._command, self._redirect, self._previous)
                self._frames.append(_Frame(opening, parens=2, outer=outer))
                if opening == "$(":
                    self._begin_command()
                return at + len(opening)
        return 0

    def _code(self, at: int, kind: str) -> int:
        text, char = self.text, self.text[at]
        if plain := _PLAIN.match(text, at):
            self._word_at = at if self._word_at < 0 else self._word_at
            self._word += plain[0]
            return plain.end()
        if char == "\\":
            if text[at + 1 : at + 2] == "\n":
                self._joined = True
                return at + 2
            self._mark(at)
            return at + 2
        if char in "'\"":
            self._mark(at)
            self._frames.append(_Frame(char))
            return at + 1
        if char == "$" and text.startswith("$'", at):
            self._mark(at)
            self._frames.append(_Frame("$'"))
            return at + 2
        if char in "$`":
            self._mark(at)
            return self._substitution(at) or at + 1
        if char == "#" and self._word_at < 0:
            return text.index("\n", at)
        if char in " \t\n;&|()<>":
            return self._delimiter(at, char)
        if self._word_at < 0:
            self._word_at = at
        self._word += char
        return at + 1

    def _mark(self, at: int) -> None:
        """Note that the word holds something quoted or expanded."""
        self._word_at = at if self._word_at < 0 else self._word_at
        self._quoted = True

    def _delimiter(self, at: int, char: str) -> int:
        self._at = at
        if self._pattern(char):
            return at + 1
        if char in " \t(" and self._word_at >= 0 and (end := self._function_head(at)):
            return end
        if char in "<>" and self._word.isdigit() and not self._quoted:
            self._drop_word()
        self._end_word()
        match char:
            case "\n" | ";":
                self._begin_command()
                if self.text.startswith(";;", at):
                    self._arm_ends()
                    return at + 2
            case "&" | "|":
                return self._operator(at, char)
            case "(":
                self._open("(")
            case ")":
                self._close("(")
            case "<" | ">":
                return self._redirection(at)
        return at + 1

    def _operator(self, at: int, char: str) -> int:
        double = self.text.startswith(char * 2, at)
        if char == "&" and not double:
            # A process left behind cannot be waited for by another script.
            self.held = True
        self._begin_command()
        self._waiting = double or char == "|"
        return at + (2 if double else 1)

    def _redirection(self, at: int) -> int:
        text = self.text
        if text.startswith("<<", at):
            found = re.compile(r"<<(-?)[ \t]*((?:\\.|'[^'\n]*'|\"[^\"\n]*\"|[^\s;&|()<>])+)").match(text, at)
            if not found:
                self.held = True
                return at + 2
            self._documents.append((re.sub(r"\\(.)|['\"]", r"\1", found[2]), found[1] == "-"))
            return found.end()
        self._redirect = True
        return at + 2 if text[at + 1 : at + 2] in ("&", ">", "|") else at + 1

    def _pattern(self, char: str) -> bool:
        """Inside the patterns of a case only `)` and esac mean anything."""
        if not self._frames or self._frames[-1].kind != "case-pattern":
            return False
        if self._word == "esac" and not self._quoted:
            self._drop_word()
            self._close("case-pattern")
            return False
        if char == ")":
            self._frames[-1].kind = "case-arm"
            self._begin_command()
        self._drop_word()
        return True

    def _arm_ends(self) -> None:
        if self._frames and self._frames[-1].kind == "case-arm":
            self._frames[-1].kind = "case-pattern"
        else:
            self.held = True

    def _function_head(self, at: int) -> int:
        head = re.compile(r"[ \t]*\([ \t]*\)").match(self.text, at)
        if not head or not self._command or self._quoted or not self._word:
            return 0
        if self._frames or not _NAME.match(self._word):
            # Defined inside something else: whether it is defined shows only when it runs.
            self.held = True
        self._function = self._word_at
        self._drop_word()
        self._begin_command()
        return head.end()

    def _end_word(self) -> None:
        if self._word_at < 0:
            return
        word, quoted, at = self._word, self._quoted, self._word_at
        self._drop_word()
        self.empty_body = False
        if self._redirect:
            self._redirect = False
            return
        self._waiting = False
        kind = self._frames[-1].kind if self._frames else ""
        if kind == "case-word" and word == "in" and not quoted:
            self._frames[-1].kind = "case-pattern"
        elif self._previous == "for" and word == "do":
            self._begin_command()
        elif self._command and not quoted:
            self._command_word(word)
        elif self._command:
            self._command = _ASSIGNMENT.match(word) is not None
            # A command whose name shows only when it runs may be any of the holding ones.
            self.held = self.held or (not self._command and self._unknown(at))
        else:
            self._operand(word, quoted)

    def _unknown(self, at: int) -> bool:
        return "$" in self.text[at : self._at] or "`" in self.text[at : self._at]

    def _operand(self, word: str, quoted: bool) -> None:
        """A build that exits well ends here; a function that is unset must stay so."""
        match self._previous:
            case "exit" if not quoted and re.fullmatch(r"0*[1-9][0-9]*", word):
                self._previous = ""
            case "unset":
                self.held = self.held or (word.startswith("-") and "f" in word)
            case "set" if word.startswith(("-", "+")):
                self.held = self.held or not set(word[1:]) <= _KEPT_OPTIONS
            case "set":
                self.held = self.held or word in _LOST_OPTIONS

    def _command_word(self, word: str) -> None:
        self._previous = word
        if word in _OPENERS:
            self._open(_OPENERS[word])
            self._command = word not in ("for", "case")
            self.empty_body = word == "{"
        elif word in _CLOSERS:
            self._close(_CLOSERS[word])
        elif word == "esac":
            self._close("case-arm")
        elif word in _THEN:
            self._command = True
            self.empty_body = word != "!"
        elif _ASSIGNMENT.match(word) or word == "command":
            pass
        else:
            self.held = self.held or word in _HOLDING
            self._command = False

    def _open(self, kind: str) -> None:
        self._frames.append(_Frame(kind, self._function))
        self._function = -1
        self._waiting = False
        if kind == "(":
            self._begin_command()

    def _close(self, kind: str) -> None:
        if not self._frames or (self._frames[-1].kind != kind and not (kind == "(" and self._frames[-1].kind == "$(")):
            self.held = True
            return
        frame = self._frames.pop()
        self._waiting = False
        if frame.kind == "$(":
            self._word, self._word_at, self._command, self._redirect, self._previous = frame.outer
            self._quoted = True
            return
        self._command = True
        self._previous = ""
        if frame.function >= 0:
            self._function_ends(frame.function, self._at + (kind == "("))

    def _function_ends(self, start: int, end: int) -> None:
        rest = self.text[end : self.text.index("\n", end)].strip()
        if rest and not rest.startswith(("#", ";")):
            # A redirection of the whole function would be lost with what follows.
            self.held = True
        self.functions.append((start, end))

    def _begin_command(self) -> None:
        if self._previous == "exit":
            self.held = True
        self._drop_word()
        self._command = True
        self._redirect = False
        self._previous = ""

    def _drop_word(self) -> None:
        self._word, self._quoted, self._word_at = "", False, -1
