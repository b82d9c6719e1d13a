# SPDX-License-Identifier: Apache-2.0
#
# Rules of the text of every file: licence line, length, blanks, forbidden strings.

BEGIN {
    max_line = 90
    max_file = 900
    max_header = 200

    # The top of absolute paths that a product may name.
    split("bin boot dev etc lib machine proc run sbin sys tmp usr var", tops, " ")
    for (i in tops)
        top[tops[i]] = 1
    # The top of the object tree that QMP shows.
    top["objects"] = top["chardevs"] = top["peripheral"] = top["peripheral-anon"] = 1

    # Where a reader of the code or documents may be sent.
    split("localhost www.apache.org www.kernel.org docs.kernel.org lore.kernel.org " \
          "docs.oasis-open.org uefi.org www.qemu.org qemu.org libvirt.org", hosts, " ")
    for (i in hosts)
        host[hosts[i]] = 1
}

function complain(line, text)
{
    printf "%s:%d: %s\n", name, line, text
    failed = 1
}

function end_of_file()
{
    if (name == "" || !is_code)
        return
    if (name ~ /\.h$/ && lines > max_header)
        complain(lines, "a header of " lines " lines, at most " max_header \
                 ": split it by who uses it")
    else if (lines > max_file)
        complain(lines, "a file of " lines " lines, at most " max_file \
                 ": split it by subject")
}

function check_path(text,    first)
{
    while (match(text, /(^|[ "'=(:`])\/[A-Za-z0-9._-]+\//)) {
        first = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        sub(/^[^\/]*\//, "", first)
        sub(/\/$/, "", first)
        if (!(first in top))
            complain(FNR, "the absolute path '/" first "/...' belongs to one machine: " \
                     "make it relative or an option")
    }
}

function check_url(text,    address)
{
    while (match(text, /https?:\/\/[A-Za-z0-9.-]+/)) {
        address = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        sub(/^[a-z]*:\/\//, "", address)
        if (!(address in host) && address !~ /(^|\.)example(\.(com|org|net))?$/)
            complain(FNR, "names the host " address ": name the document instead, or " \
                     "add the host to tests/lint/text.awk")
    }
}

FNR == 1 {
    end_of_file()
    name = FILENAME
    is_code = name ~ /\.(c|h|py|sh|awk)$/ || name ~ /(^|\/)Makefile$/
    want_spdx = is_code || name ~ /^qmp\/schema\//
    spdx = 0
}

{ lines = FNR }

FNR <= 2 && /SPDX-License-Identifier: Apache-2\.0/ { spdx = FNR }

FNR == 1 && want_spdx && !/^#!/ && !spdx {
    complain(1, "the first line is not \"SPDX-License-Identifier: Apache-2.0\"")
}

FNR == 2 && want_spdx && !spdx && previous ~ /^#!/ {
    complain(2, "the line after \"#!\" is not \"SPDX-License-Identifier: Apache-2.0\"")
}

{ previous = $0 }

is_code && length($0) > max_line {
    complain(FNR, "a line of " length($0) " columns, at most " max_line)
}

/[ \t]$/ { complain(FNR, "blanks at the end of the line") }

/\r$/ { complain(FNR, "a carriage return at the end of the line") }

/\t/ && name !~ /Makefile$|\.md$/ { complain(FNR, "a tab: use four spaces") }

/(^|[^A-Za-z])(TODO|FIXME|XXX)([^A-Za-z]|$)/ && name !~ /^tests\/lint\// {
    complain(FNR, "a note to self: do it, or open an issue, or write a skipped test")
}

# Test programs name their tests by paths; scripts of guests know their own root.
name !~ /^tests\/(unit|device|qmp)\/.*\.c$|^tests\/e2e\/init\// { check_path($0) }

{ check_url($0) }

END {
    end_of_file()
    exit failed
}
