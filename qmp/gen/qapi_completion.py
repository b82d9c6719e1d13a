# SPDX-License-Identifier: Apache-2.0
"""Writes completion of berth and berthctl for bash and zsh: options, what devices and
other kinds there are with their keys, QMP commands with their arguments, events."""

# Options with kinds, and the function that completes them.
KINDS = {"device": "device_add", "object": "object-add", "netdev": "netdev_add",
         "blockdev": "blockdev-add"}

# Of berthctl, in the order of its help; what the words of each are.
CTL = {"list": "", "top": "vm*", "status": "vm", "console": "vm", "qmp": "vm qmp",
       "events": "vm events", "balloon": "vm", "plug": "vm device", "unplug": "vm",
       "shutdown": "vm"}

# By which top sorts.
CTL_COLUMNS = ["name", "state", "vcpus", "vcpu", "cpu", "rss", "ram", "left", "read",
               "write", "rx", "tx"]

HEAD = "# Made from berth's schema; do not edit.\n"

BASH = r"""
# The folder and the options before the command of berthctl.  Whoever gave files their
# names: a list of words (compgen -W) would be executed.
_berth_vms() {
    local folder=${BERTH_RUN_DIR:-/run/berth} i path name
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -d ]] && folder=${COMP_WORDS[i + 1]}
    done
    for path in "$folder"/*.qmp; do
        name=${path##*/}
        name=${name%.qmp}
        [[ -S $path && $name == "$1"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done
}

# KIND[,KEY=VALUE...]: $1 says of what, $2 is the text.
_berth_pairs() {
    local kind=${2%%,*} before=
    if [[ $2 != *,* ]]; then
        COMPREPLY=($(compgen -W "$(_berth_kinds "$1")" -- "$2"))
        compopt -o nospace
        return
    fi
    before=${2%,*}
    COMPREPLY=($(compgen -P "$before," -S = -W "$(_berth_keys "$1" "$kind")" \
        -- "${2##*,}"))
    compopt -o nospace
}

_berth() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    case $prev in
    -device | -object | -netdev | -blockdev) _berth_pairs "${prev#-}" "$cur" ;;
    *)
        if [[ $cur == -* ]]; then
            COMPREPLY=($(compgen -W "$_berth_options" -- "$cur"))
        else
            COMPREPLY=($(compgen -f -- "$cur"))
        fi
        ;;
    esac
}

_berthctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local words=() i kind
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -[dtwins]) ((i++)) ;;
        -*) ;;
        *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done
    if [[ $prev == -d ]]; then
        COMPREPLY=($(compgen -d -- "$cur"))
    elif [[ $prev == -s ]]; then
        COMPREPLY=($(compgen -W "$_berthctl_columns" -- "$cur"))
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W '-d -t -w -f -i -n -s -h -V --help --version' -- "$cur"))
    elif ((${#words[@]} == 0)); then
        COMPREPLY=($(compgen -W "$_berthctl_commands" -- "$cur"))
    elif ((${#words[@]} == 1)) || [[ ${words[0]} == top ]]; then
        [[ ${words[0]} == list ]] ||
            COMPREPLY=() && _berth_vms "$cur"
    else
        case ${words[0]} in
        qmp)
            if ((${#words[@]} == 2)); then
                COMPREPLY=($(compgen -W "$_berth_qmp_commands" -- "$cur"))
            else
                COMPREPLY=($(compgen -S = -W "$(_berth_arguments "${words[2]}")" \
                    -- "$cur"))
                compopt -o nospace
            fi
            ;;
        events) COMPREPLY=($(compgen -W "$_berth_events" -- "$cur")) ;;
        plug) _berth_pairs device "$cur" ;;
        esac
    fi
}

complete -F _berth berth
complete -F _berthctl berthctl
"""

ZSH_HEAD = "#compdef berth berthctl\n" + HEAD


def keys_of(type_):
    """Members by name; the tag is what comes first, with no key."""
    return [m.name for m in type_.members if m is not type_.tag]


def words(names):
    return " ".join(names)


def case(pattern, text):
    return f"    {pattern}) echo '{text}' ;;"


def bash(schema):
    unions = {name: schema.options[name].type for name in KINDS}
    options = [f"-{o.name}" for o in schema.options.values()]
    out = [HEAD, f"_berth_options='{words(options)}'",
           f"_berthctl_commands='{words(CTL)}'",
           f"_berthctl_columns='{words(CTL_COLUMNS)}'",
           f"_berth_qmp_commands='{words(schema.commands)}'",
           f"_berth_events='{words(schema.events)}'",
           "\n_berth_kinds() {", "    case $1 in"]
    out += [case(name, words(union.branches)) for name, union in unions.items()]
    out += ["    esac", "}", "\n_berth_keys() {", "    case $1,$2 in"]
    for name, union in unions.items():
        common = keys_of(union)
        for value, branch in union.branches.items():
            out.append(case(f"{name},{value}", words([*common, *keys_of(branch)])))
    out += ["    esac", "}", "\n_berth_arguments() {", "    case $1 in"]
    for command in schema.commands.values():
        if command.args:
            out.append(case(command.name, words(m.name for m in command.args.members)))
    out += ["    esac", "}"]
    return "\n".join(out) + "\n" + BASH


def zsh_text(text):
    """In single quotes, within brackets, of a specification of _arguments."""
    for char in "\\[]:":
        text = text.replace(char, "\\" + char)
    return text.replace("'", "'\\''")


def zsh_option(option):
    star = "*" if option.repeat or option.merge else ""
    spec = f"{star}-{option.name}[{zsh_text(option.help)}]"
    if option.name in KINDS:
        spec += f":{option.name}:->{option.name}"
    elif option.arg:
        spec += f":{option.name}:_files"
    return f"        '{spec}' \\"


def zsh(schema):
    unions = {name: schema.options[name].type for name in KINDS}
    out = [ZSH_HEAD, "local curcontext=$curcontext state line", "local -A opt_args\n",
           "_berth_pairs() {", "    local kind=${PREFIX%%,*}",
           "    if ! compset -P '*,'; then", "        case $1 in"]
    for name, union in unions.items():
        out.append(f"        {name}) compadd -q -S , -- {words(union.branches)} ;;")
    out += ["        esac", "        return", "    fi", "    case $1,$kind in"]
    for name, union in unions.items():
        for value, branch in union.branches.items():
            keys = words([*keys_of(union), *keys_of(branch)])
            out.append(f"    {name},{value}) compadd -q -S = -- {keys} ;;")
    # Zsh makes the whole file the function "_berth", so none within has that name.
    out += ["    esac", "}", "", "_berth_options() {", "    _arguments \\"]
    out += [zsh_option(option) for option in schema.options.values()]
    out += ["        '*:file:_files'", "    [[ -z $state ]] || _berth_pairs $state", "}",
            "", "_berth_vms() {",
            "    local folder=${BERTH_RUN_DIR:-/run/berth}",
            "    [[ -z $opt_args[-d] ]] || folder=$opt_args[-d]",
            "    compadd -- $folder/*.qmp(N=:t:r)", "}", "",
            "_berth_arguments() {", "    case $1 in"]
    for command in schema.commands.values():
        if command.args:
            names = words(m.name for m in command.args.members)
            out.append(f"    {command.name}) compadd -q -S = -- {names} ;;")
    out += ["    esac", "}", "", "_berthctl_words() {",
            "    _arguments -C '-d[folder]:folder:_files -/' '-t[seconds]:seconds:' \\",
            "        '-w[seconds]:seconds:' '-f[force]' '-i[seconds]:seconds:' \\",
            "        '-n[pictures]:number:' '-h[help]' '--help[help]' \\",
            f"        '-s[order]:column:({words(CTL_COLUMNS)})' \\",
            "        '-V[version]' '--version[version]' \\",
            f"        '1:command:({words(CTL)})' '2:machine:_berth_vms' \\",
            "        '*:::rest:->rest'",
            "    [[ $state == rest ]] || return", "    case $line[1] in",
            "    top) _berth_vms ;;",
            "    plug) _berth_pairs device ;;",
            f"    events) compadd -- {words(schema.events)} ;;",
            "    qmp)", "        if ((CURRENT == 1)); then",
            f"            compadd -- {words(schema.commands)}",
            "        else", "            _berth_arguments $words[1]", "        fi",
            "        ;;", "    esac", "}", "",
            "case $service in", "berthctl) _berthctl_words ;;", "*) _berth_options ;;",
            "esac"]
    return "\n".join(out) + "\n"
