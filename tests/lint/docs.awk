# SPDX-License-Identifier: Apache-2.0
#
# Documents are true.  Run with -v list=FILE, the paths of the tree, one a line.
#
#   - A path in back quotes that begins with a folder of the tree is there; one with "*"
#     or capital letters is a pattern and names nothing.
#   - A block of code that begins with "```c PATH" stands in that file: each line of it,
#     in the same order.  A line "..." stands for what is left out.

BEGIN {
    while ((getline path < list) > 0) {
        there[path] = 1
        while (sub("/[^/]*$", "", path))
            there[path] = there[path "/"] = 1
    }
}

function complain(text)
{
    printf "%s:%d: %s\n", FILENAME, FNR, text
    failed = 1
}

function check_paths(text,    path)
{
    while (match(text, /`(src|hw|block|net|qmp|include|tests|docs)\/[a-z0-9_.\/-]*`/)) {
        path = substr(text, RSTART + 1, RLENGTH - 2)
        text = substr(text, RSTART + RLENGTH)
        if (!(path in there))
            complain("'" path "' is not there: name what is")
    }
}

# Moves on in the file that is quoted, to the line after the one that is wanted.
function find_line(wanted,    line)
{
    while ((getline line < quoted) > 0)
        if (line == wanted)
            return
    complain("the line is not in " quoted " (any more, or in this place)")
    close(quoted)
    quoted = ""
}

FNR == 1 { quoted = "" }

/^```/ {
    if (quoted)
        close(quoted)
    quoted = $2
    if (quoted && !(quoted in there)) {
        complain("'" quoted "' is not there: name what is")
        quoted = ""
    }
    next
}

quoted && !/^ *(\.\.\.|# \.\.\.)?$/ { find_line($0) }

{ check_paths($0) }

END { exit failed }
