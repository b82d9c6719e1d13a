# SPDX-License-Identifier: Apache-2.0
#
# Rules of symbols.  Reads "nm --format=sysv -A" of the objects of the product, with each
# object named OBJECT-FOLDER/path/file.o:
#   - no writable global but those of the list below;
#   - an exported function begins with the name of its file.

BEGIN {
    FS = "|"
    # Writable on purpose: the file, the symbol.
    writable("src/base/log", "log_state")
    writable("src/base/thread", "current_role|held_locks|is_confined|confinement")
    writable("src/base/trace", "trace_[a-z_]*")
    writable("src/base/qsbr", "[a-z_]*")
    writable("src/char/char-stdio", "terminal")
    writable("src/machine/sandbox", "sandbox")
    writable("src/vm/ram-fault", "faults")
    writable("[a-z/0-9-]*", "trace_point(_[a-z0-9_]*)?|trace_[a-z0-9_]*_point")

    # Names that an exported function may begin with beside its file's: the file, the
    # prefixes.
    prefix("src/base/error", "berth_error_")
    prefix("src/base/thread", "assert_|lock_")
    prefix("src/main", "main$")
    prefix("ctl/ctl-main", "main$")
    prefix("src/char/char-stream", "char_(write|pending|flush|accept_input)$")
    prefix("src/char/char-set", "char_(find|filename|remove|yank|can_yank|open_file)$")
    prefix("src/char/char-add", "char_(may_wait|opened|find_opening|end_adding)$")
    prefix("src/char/char-add", "char_change_later$")
    prefix("src/char/char-ringbuf", "char_is_ringbuf$")
    prefix("src/char/char-text", "char_add_from_text$")
    prefix("src/char/char-stdio", "char_set_restore_terminal$")
    prefix("net/net-user-absent", "net_user_")
    prefix(".*-qmp", "qmp_")
    # Handlers have the names of their commands.
    prefix("src/hmp/hmp-[a-z-]*", "hmp_")
}

function writable(file, symbol)
{
    may_write[++n_writable] = "^" file " (" symbol ")$"
}

function prefix(file, names)
{
    may_begin[++n_prefixes] = "^" file " (" names ")"
}

function allowed(list, n, text,    i)
{
    for (i = 1; i <= n; i++)
        if (text ~ list[i])
            return 1
    return 0
}

function trim(text)
{
    gsub(/^[ ]+|[ ]+$/, "", text)
    return text
}

function complain(text)
{
    printf "%s:%s: %s\n", file ".c", "1", text
    failed = 1
}

NF >= 7 {
    split($1, where, ":")
    file = where[1]
    symbol = trim(where[2])
    type = trim($3)
    class = trim($4)
    section = trim($NF)
    file = substr(file, length(objects) + 2)
    sub(/\.o$/, "", file)
    if (file ~ /^(gen|tests)\//)
        next

    if (section ~ /^\.(data|bss|tdata|tbss)(\.|$)/ && section !~ /^\.data\.rel\.ro/ &&
        class ~ /OBJECT|TLS/) {
        name = symbol
        sub(/\.[0-9]+$/, "", name)
        if (!allowed(may_write, n_writable, file " " name))
            complain("'" name "' is a writable global: put it into an object")
    }
    if (type == "T" && class == "FUNC") {
        begin = file
        sub(/.*\//, "", begin)
        gsub("-", "_", begin)
        if (index(symbol, begin "_") != 1 && symbol != begin &&
            !allowed(may_begin, n_prefixes, file " " symbol))
            complain(symbol "() is exported and does not begin with '" begin \
                     "_': rename it, make it static, or move it")
    }
}

END { exit failed }
