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

`sources` is the port by which files are read; `files` is its one implementation.
`compile_makejail` and `compile_text` in `program` run the whole flow.
"""
