# SPDX-License-Identifier: Apache-2.0
#
# Rules of the names of files.  Reads one path a line.

function complain(text)
{
    printf "%s:1: %s\n", $0, text
    failed = 1
}

{
    base = $0
    sub(/.*\//, "", base)
}

base ~ /\.(c|h|py|sh|awk)$/ {
    if (base in first && base != "run.sh")
        complain("the name is taken by " first[base] ": names are unique in the tree")
    else
        first[base] = $0
    if (base ~ /util|helper|manager|common/)
        complain("no util, helper, manager, common in a name: say what it does or is")
    if (base ~ /[A-Z_]/ && base !~ /\.py$/)
        complain("names of files are in lower case, with \"-\" between words")
    plain = base
    if (sub(/2\.c$/, ".c", plain))
        numbered[$0] = plain
}

END {
    for (path in numbered)
        if (numbered[path] in first) {
            printf "%s:1: split %s by subject, not by number\n", path, numbered[path]
            failed = 1
        }
    exit failed
}
