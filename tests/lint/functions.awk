# SPDX-License-Identifier: Apache-2.0
#
# Rules inside C files: the size of functions, parameters, nesting, names, calls.  Used
# with c-code.awk.  The style puts "{" of a function, and only that, alone in the first
# column, and its "}" there too; the signature is what stands above it.

BEGIN {
    max_lines = 60
    max_parameters = 6
    max_nesting = 4

    # Calls that berth does not make, where they may stand all the same, what to do.
    call("exit|_exit|_Exit|quick_exit",
         "^src/main\\.c$|^src/machine/daemonize\\.c$|^tests/",
         "return an error to the caller; only main ends the process")
    call("abort|g_error", "^tests/",
         "return a GError, or g_assert for an invariant of ours")
    call("g_strerror|strerror", "^tests/",
         "error_text(), which opens no file and takes no lock")
    call("pthread_create|g_thread_new|g_thread_try_new",
         "^src/base/thread\\.c$|^tests/",
         "thread_start(), which names the role and confines the thread")
    call("strcpy|strcat|sprintf|vsprintf|gets|alloca|strtok", "^$",
         "use the GLib or snprintf form that knows the size")
    call("atoi|atol|atof", "^$", "use a parser that tells errors and ranges")
    call("setjmp|longjmp|system|popen", "^$", "there is a better way")
}

function call(names, where, advice)
{
    call_names[++n_calls] = "(^|[^A-Za-z0-9_>.])(" names ")[ ]*\\("
    call_where[n_calls] = where
    call_advice[n_calls] = advice
}

function complain(line, text)
{
    printf "%s:%d: %s\n", FILENAME, line, text
    failed = 1
}

# The number of parameters in "name(int a, void (*fn)(int, int))".
function count_parameters(text,    i, c, depth, n)
{
    sub(/^[^(]*/, "", text)
    if (text ~ /^\([ ]*(void)?[ ]*\)/)
        return 0
    n = 1
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "(")
            depth++
        else if (c == ")" && --depth == 0)
            return n
        else if (c == "," && depth == 1)
            n++
    }
    return n
}

# "static int thing_of(char *x)" -> "thing_of"
function name_of(text)
{
    sub(/[ ]*\(.*/, "", text)
    sub(/.*[ *]/, "", text)
    return text
}

function check_name(line, name,    words)
{
    words = tolower(name)
    gsub(/common_?cfg/, "", words)
    if (words ~ /util|helper|manager|common/)
        complain(line, "'" name "': say what it is; no util, helper, manager, common")
    if (name ~ /^do_/ || name ~ /^__/)
        complain(line, "'" name "': no do_ and no __ before a name")
}

function check_function(    n)
{
    n = FNR - signature_line + 1
    if (n > max_lines)
        complain(signature_line, name_of(signature) "() has " n " lines, at most " \
                 max_lines ": split it by step")
    n = count_parameters(signature)
    if (n > max_parameters)
        complain(signature_line, name_of(signature) "() has " n " parameters, at most " \
                 max_parameters ": pass a struct")
}

function check_code(code,    i, label)
{
    for (i = 1; i <= n_calls; i++)
        if (code ~ call_names[i] && FILENAME !~ call_where[i] &&
            code !~ /^[a-z].*[ *][a-z_]+\(.*\)(;| G_)/)
            complain(FNR, "calls what berth does not call: " call_advice[i])
    if (match(code, /(^|[^A-Za-z0-9_])goto[ ]+[A-Za-z0-9_]+/)) {
        label = substr(code, RSTART, RLENGTH)
        sub(/.*[ ]/, "", label)
        if (label != "fail")
            complain(FNR, "goto " label ": only \"fail:\" of a realize-like function " \
                     "is allowed; use g_auto... or split")
    }
    if (code ~ /__attribute__[ ]*\(\([ ]*(constructor|destructor)/ ||
        code ~ /G_DEFINE_CONST?RUCTOR/)
        complain(FNR, "nothing registers itself: add a line to the explicit list")
    if (in_function &&
        code ~ /^[ ]+(}[ ]*else )?(if|for|while|switch|do|LIST_FOREACH)([ (]|$)/) {
        match(code, /^ */)
        if (RLENGTH >= 4 * (max_nesting + 1))
            complain(FNR, "nested more than " max_nesting " deep: return early or split")
    }
    if (in_macro && code ~ /(^|[^A-Za-z0-9_])(return|goto)([^A-Za-z0-9_]|$)/)
        complain(FNR, "a macro that leaves the caller: write the statement out")
}

FNR == 1 {
    code_start()
    signature = ""
    in_function = in_macro = 0
}

{
    code = code_of($0)
    if (code ~ /^[ ]*#[ ]*define/)
        in_macro = 1
    check_code(code)
    in_macro = in_macro && $0 ~ /\\$/
}

code ~ /^{/ && signature ~ /\(/ {
    in_function = 1
    check_name(signature_line, name_of(signature))
}

code ~ /^}/ {
    if (in_function)
        check_function()
    if (match(code, /^} [A-Za-z0-9_]+;/))
        check_name(FNR, substr(code, 3, RLENGTH - 3))
    in_function = 0
    signature = ""
    next
}

!in_function {
    if (code ~ /^[ ]*#/ || code ~ /^[ ]*$/ || code ~ /;[ ]*$/) {
        signature = ""
    } else {
        if (code ~ /^[^ {]/ && signature !~ /\($|,$/) {
            signature = ""
            signature_line = FNR
        }
        signature = signature code
    }
}

END { exit failed }
