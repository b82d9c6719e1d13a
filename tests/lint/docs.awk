# SPDX-License-Identifier: Apache-2.0
#
# Documents name files that are there.  Run with -v list=FILE, the paths of the tree,
# one a line.  A path is text in back quotes that begins with a folder of the tree; one
# with "*" or capital letters is a pattern and names nothing.

BEGIN {
    while ((getline path < list) > 0) {
        there[path] = 1
        while (sub("/[^/]*$", "", path))
            there[path] = there[path "/"] = 1
    }
}

{
    text = $0
    while (match(text, /`(src|hw|block|net|qmp|include|tests|docs)\/[a-z0-9_.\/-]*`/)) {
        path = substr(text, RSTART + 1, RLENGTH - 2)
        text = substr(text, RSTART + RLENGTH)
        if (!(path in there)) {
            printf "%s:%d: '%s' is not there: name what is\n", FILENAME, FNR, path
            failed = 1
        }
    }
}

END { exit failed }
