"""The Makejail language, from a file's bytes to scripts and digests.

The flow, one module per stage, each a pure function of the one before:

    lines     bytes to logical lines: comments, blank lines, continuation
    include   every INCLUDE inlined, with the `cd` lines that this makes
    macros    build arguments, `%{NAME}`
    tokens    an argument text to words
    parse     a line to stage, instruction name and arguments
    compile   each instruction by its own file in instructions/, ARG and OPTION hoisted
    program   segments (the shortest runs between points where no RAW block is open),
              options, arguments and stage scripts

What runs a Program gives each script, by `sh FILE` on the host, these variables:

    RECONCILER_JAIL      name of the running jail that the script enters with jexec
    RECONCILER_ENV       absolute path of the file that carries the shell's state; absent before
                         the first segment, kept beside each layer and given back (as a copy)
                         when a build resumes there; never inside a jail's reach, for it is sourced
    RECONCILER_SOURCES   folder in which every `Segment.sources` entry stands as ORDINAL/NAME
    RECONCILER_CONTEXT   the staged Makejail's folder, when `Program.needs_context`
    RECONCILER_INCLUDED  folder in which every `Segment.outside` stands as NUMBER
    APPJAIL_JAILNAME, APPJAIL_JAILDIR, APPJAIL_ROOTDIR

`sources` is the port by which files are read; `files` is its one implementation.
`compile_makejail` and `compile_text` in `program` run the whole flow.
"""
