# SPDX-License-Identifier: Apache-2.0
#
# code_of(line) is a C line without comments and with the text of strings left out; it
# must see each line of a file in order.  Reset by code_start() at a file's first line.

function code_start()
{
    in_comment = 0
}

function code_of(line,    out, rest)
{
    out = ""
    while (line != "") {
        if (in_comment) {
            if (!match(line, /\*\//))
                return out
            line = substr(line, RSTART + 2)
            in_comment = 0
        } else if (match(line, /"|'|\/\*|\/\//)) {
            out = out substr(line, 1, RSTART - 1)
            rest = substr(line, RSTART)
            if (rest ~ /^\/\*/) {
                in_comment = 1
                line = substr(rest, 3)
            } else if (rest ~ /^\/\//) {
                return out
            } else if (match(rest, /^"([^"\\]|\\.)*"/) ||
                       match(rest, /^'([^'\\]|\\.)*'/)) {
                out = out substr(rest, 1, 1) substr(rest, 1, 1)
                line = substr(rest, RLENGTH + 1)
            } else {
                return out
            }
        } else {
            return out line
        }
    }
    return out
}
