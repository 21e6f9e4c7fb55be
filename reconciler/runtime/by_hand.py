"""The script that runs a stage of a running jail by hand: pre, the stage, post, in the folder of its files."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from reconciler.runtime.quote import sh
from reconciler.runtime.stages import ENVIRONMENT, file_name


def stages(files: Collection[str]) -> list[str]:
    """The stages that may be run by hand, by the names of a jail's files."""
    found = [name[len("stage-custom-") : -len(".sh")] for name in files if name.startswith("stage-custom-")]
    fixed = [name for name in ("cmd", "apply") if file_name(name) in files]
    return [*fixed, *(f"custom:{name}" for name in sorted(found))]


def script(jail: str, folder: str, live: str, files: Collection[str], stage: str, words: Sequence[str]) -> str:
    """A failing pre stage means that the stage is skipped; post always runs, its status does not count."""
    there = {prefix: file_name(prefix + stage) for prefix in ("pre", "post") if file_name(prefix + stage) in files}
    lines = ["#!/bin/sh", f"jail={sh(jail)} folder={sh(folder)} live={sh(live)}", ENVIRONMENT, "status=0"]
    lines.append("set --" + "".join(f" {sh(word)}" for word in words))
    # The function of the hooks takes no words of ours.
    lines.append('stage() { file=$1; shift; (cd / && exec /bin/sh "$folder/$file" "$@"); }')
    if "pre" in there:
        lines.append(f'stage {sh(there["pre"])} "$@" || status=$?')
    lines.append(f'[ "$status" -ne 0 ] || stage {sh(file_name(stage))} "$@" || status=$?')
    if "post" in there:
        lines.append(f'stage {sh(there["post"])} "$@" || :')
    lines.append('exit "$status"')
    return "\n".join(lines) + "\n"
