"""FROM [options] image[:tag]: the jail is made of an image in AppJail's own format. Out of the flow.

In the build stage, once. The description says where the archive lies and what its SHA256 is; the archive is downloaded
where the tool runs, held to that digest, kept in the pool's store, and unpacked inside a build jail, as a layer over
the release of the spec and under all others. Of AppJail's own state beside the jail's files, and of its links to a
shared base, nothing is taken. Everything is quoted in the original's script but the ajspec, which its shell splits.

- `--entrypoint E`: where the description is: `file+PATH`, or a repository by the methods of INCLUDE, which
  `reconcile lock` pins. `none` takes an image that AppJail has, and is refused.
- `--ajspec N` (`.ajspec`), `--branch B`, `--platform A`: the description's file, its branch, the architecture.

    FROM --entrypoint gh+AppJail-makejails/nginx nginx:15.1
"""

from __future__ import annotations

from reconciler.makejail.lines import blank, head
from reconciler.makejail.options import read_options
from reconciler.makejail.problem import IO, USAGE, problem
from reconciler.makejail.quoting import DoubleQuoted
from reconciler.makejail.step import Image, Instruction, Line, State, Step, required

_USAGE = "Write FROM IMAGE or FROM IMAGE:TAG."
_AJSPEC, _TAG, _ENTRYPOINT = ".ajspec", "latest", "gh+AppJail-makejails/"


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    if state.image:
        detail = "A jail is made of one image."
        raise problem(IO, "from-twice", "FROM stands twice", detail, "Remove one of the two.", line.span)
    options = read_options(line, (), {"--ajspec", "--branch", "--entrypoint", "--platform"}, _USAGE)
    if not options.complete:
        raise problem(USAGE, "usage", "FROM needs an image", hint=_USAGE, span=line.span)
    name, tag = head(options.words[0], ":")
    platform = DoubleQuoted.host(options.value("--platform") or state.platform)
    image = Image(platform, DoubleQuoted.host(name), DoubleQuoted.host(_TAG if blank(tag) else tag), line.span)
    state.image = image
    entrypoint = options.value("--entrypoint") or _ENTRYPOINT + name
    if entrypoint != "none":
        ajspec, branch = options.value("--ajspec") or _AJSPEC, options.value("--branch")
        state.imports.append(Step("FROM", line.rest, line.span, _operands(image, ajspec, branch, entrypoint)))
    return None


def _operands(image: Image, ajspec: str, branch: str | None, entrypoint: str) -> dict[str, object]:
    """Facts; where the ajspec is more than one word of sh, the words that its shell makes of all."""
    source = DoubleQuoted.host(entrypoint)
    shown = None if branch is None else DoubleQuoted.host(branch)
    if ajspec.split() != [ajspec]:
        first = ("-a", image.platform, *(() if shown is None else ("-b", shown)), "-N")
        spread = (*first, *ajspec.split(), "-n", image.name, "-t", image.tag, "--", source)
        return {"split_words": spread}
    return {
        "platform": image.platform,
        "ajspec": DoubleQuoted.host(ajspec),
        "image": image.name,
        "tag": image.tag,
        "branch": shown,
        "entrypoint": source,
        "extra": (),
    }


INSTRUCTION = Instruction("FROM", _compile, build_only=True)
