"""ADD [--verbose] url [dst]: an archive from the network, unpacked in the jail by the jail's own tar.

The archive is downloaded where the tool runs, and streamed into a build jail; links in it resolve in there. `dst` is
below WORKDIR (or `/`), and must exist. Any format counts that tar(1) knows. `reconcile lock` pins the archive by its
SHA256: then a build that gets other bytes fails, and the layer is built anew when the pin moves. `%%` in the URL is
one `%`, as in the original, which passes it through a format.

    ADD --verbose https://example.org/site-1.2.tgz /usr/local/www
"""

from __future__ import annotations

from reconciler.makejail.lines import blank
from reconciler.makejail.options import lacking, read_options
from reconciler.makejail.problem import warning
from reconciler.makejail.quoting import DoubleQuoted, literal_text
from reconciler.makejail.step import Instruction, Line, State, Step, required

_USAGE = "Write ADD URL or ADD URL DESTINATION."


def _compile(line: Line, state: State) -> Step | None:
    required(line, _USAGE)
    options = read_options(line, {"--verbose"}, (), _USAGE)
    words = options.words
    if not words or any(map(blank, words[:3])):
        raise lacking(line, _USAGE)
    url = DoubleQuoted.host(words[0].replace("%%", "%"))
    inside = DoubleQuoted(literal_text(state.workdir) + "/") + DoubleQuoted.host(words[1] if len(words) > 1 else "")
    verbose = options.has("--verbose")
    detail = f"What {words[0]} holds is not part of the layer's digest: a change there rebuilds nothing."
    hint = "Put the archive beside the Makejail and COPY it, or give the address a version."
    return Step(
        "ADD",
        line.rest,
        line.span,
        {"url": url, "dst": DoubleQuoted("${APPJAIL_JAILDIR}") + inside, "verbose": verbose},
        f"reconciler_add {'-v ' if verbose else ''}{inside.sh} {url.sh}",
        names=(*url.names, *inside.names),
        inside=True,
        network=True,
        urls=(url.static,) if url.static and "://" in url.static else (),
        lasting=True,
        warnings=(warning("add-unpinned", "What is added is not pinned", detail, hint, line.span),),
    )


INSTRUCTION = Instruction("ADD", _compile)
