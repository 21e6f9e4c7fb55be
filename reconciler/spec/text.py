"""Bytes to text: UTF-8 only, and a place for the first byte that is not."""

from __future__ import annotations

import re

from reconciler.model.diagnostic import Diagnostic, Span

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class BadText(Exception):
    """The bytes are not text that YAML may hold."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        """Keep the diagnostic that says where."""
        super().__init__(diagnostic.detail)
        self.diagnostic = diagnostic


def decode(data: bytes, file: str) -> str:
    """UTF-8 text, with or without a byte order mark; line ends become newlines. Raises BadText."""
    if data.startswith(_UTF16) or data[1:2] == b"\x00" or data.startswith(b"\x00"):
        raise _bad(file, 1, 1, "The file is UTF-16 or binary, not UTF-8 text.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        detail = f"The byte 0x{data[error.start]:02x} is not UTF-8; the file may be Latin-1."
        raise _bad(file, line, column, detail) from error
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    control = _CONTROL.search(text)
    if control:
        at = control.start()
        detail = f"The control character U+{ord(control[0]):04X} stands here."
        raise _bad(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), detail)
    return text


def _bad(file: str, line: int, column: int, detail: str) -> BadText:
    hint = f"Save it as UTF-8: iconv -f LATIN1 -t UTF-8 {file}" if "Latin" in detail else "Save it as UTF-8 text."
    span = Span(file, line, column)
    return BadText(Diagnostic("yaml-encoding", "Not UTF-8 text", detail, hint, span))


def tab_in_indent(text: str, line: int) -> tuple[int, int] | None:
    """The first tab before the first word of line `line` (from 0) or the line above; (line, column) from 0."""
    lines = text.split("\n")
    for number in (line, line - 1):
        if 0 <= number < len(lines):
            row = lines[number]
            indent = row[: len(row) - len(row.lstrip(" \t-"))]
            if "\t" in indent:
                return number, indent.index("\t")
    return None
