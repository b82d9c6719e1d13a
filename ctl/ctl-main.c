/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berthctl: the options, and the table of commands.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "berth/printable.h"
#include "berth/spelling.h"

#include "ctl-columns.h"

#define FOLDER "/run/berth"
#define TIMEOUT_NS (3 * NS_PER_SEC)
#define WAIT_NS (60 * NS_PER_SEC)

#define EXIT_USAGE 2

static const struct option long_options[] = {
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

static const CtlCommand commands[] = {
    { "list", "", "the machines of the folder", 0, 0, ctl_list_run },
    { "top", "[VM...]", "what machines use, again and again", 0, -1, ctl_top_run },
    { "status", "VM", "one machine", 1, 1, ctl_list_status },
    { "console", "VM [CHARDEV]", "a terminal on its serial port; Ctrl-] ends", 1, 2,
      ctl_console_run },
    { "qmp", "VM COMMAND [KEY=VALUE...]", "a command of QMP", 2, -1, ctl_qmp_run },
    { "events", "VM [NAME...]", "events, a line each, until the machine ends", 1, -1,
      ctl_qmp_events },
    { "balloon", "VM [SIZE]", "what the balloon leaves, or shall leave", 1, 2,
      ctl_balloon_run },
    { "plug", "VM DRIVER[,KEY=VALUE...]", "a device, as -device has it", 2, 2,
      ctl_device_plug },
    { "unplug", "VM ID", "a device, and waits until the guest has let it go", 2, 2,
      ctl_device_unplug },
    { "shutdown", "VM", "presses the power button, and waits for the end", 1, 1,
      ctl_shutdown_run },
};

static void print_help(FILE *out)
{
    fprintf(out, "usage: berthctl [OPTIONS] COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autofree char *line = g_strjoin(" ", commands[i].name, commands[i].args, NULL);

        fprintf(out, "  %-34s %s\n", line, commands[i].help);
    }
    fprintf(out, "\nVM is the name of a machine, whose socket is FOLDER/VM.qmp, or the "
            "path of a QMP socket.\n\n"
            "  -d FOLDER    where sockets are (BERTH_RUN_DIR, else " FOLDER ")\n"
            "  -t SECONDS   how long a machine may take for an answer (3)\n"
            "  -w SECONDS   how long a guest may take for what is asked of it (60)\n"
            "  -f           unplug: does not ask the guest; shutdown: ends the machine "
            "after -w\n"
            "  -i SECONDS   top: between two pictures (2)\n"
            "  -n NUMBER    top: how many pictures\n"
            "  -s COLUMN    top: what its lines are in order of (cpu)\n"
            "  -h, -V       this text, or that of a COMMAND; the version\n");
}

static void print_columns(void)
{
    g_autoptr(GString) names = g_string_new(NULL);

    ctl_columns_names(names);
    printf("  -s COLUMN    what its lines are in order of (cpu), of\n"
           "               %s\n", names->str);
}

/* Of one command, with the options that are about it. */
static void print_command_help(const CtlCommand *command)
{
    static const char *const options[][2] = {
        { "balloon", "  -w SECONDS   how long the guest may take (60)\n" },
        { "unplug", "  -f           does not ask the guest\n"
                    "  -w SECONDS   how long it may take (60)\n" },
        { "shutdown", "  -f           ends the machine after -w\n"
                      "  -w SECONDS   how long the guest may take (60)\n" },
        { "top", "  -i SECONDS   between two pictures (2)\n"
                 "  -n NUMBER    how many pictures\n" },
    };

    printf("usage: berthctl [OPTIONS] %s%s%s\n\n%s\n\n", command->name,
           *command->args ? " " : "", command->args, command->help);
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        if (strcmp(options[i][0], command->name) == 0)
            printf("%s", options[i][1]);
    }
    if (command->run == ctl_top_run)
        print_columns();
    printf("  -d FOLDER    where sockets are (BERTH_RUN_DIR, else " FOLDER ")\n"
           "  -t SECONDS   how long a machine may take for an answer (3)\n");
}

static bool read_seconds(const char *text, double *ret_seconds, GError **error)
{
    char *end;
    double seconds = g_ascii_strtod(text, &end);

    if (!g_ascii_isdigit(*text) || *end || seconds > 1e6) {
        error_set(error, "'%s' is no number of seconds", text);
        return false;
    }
    *ret_seconds = seconds;
    return true;
}

static bool read_times(CtlOptions *options, int option, const char *text, GError **error)
{
    double seconds;

    if (!read_seconds(text, &seconds, error))
        return false;
    if (option == 't')
        options->timeout_ns = (int64_t)(seconds * (double)NS_PER_SEC);
    else if (option == 'w')
        options->wait_ns = (int64_t)(seconds * (double)NS_PER_SEC);
    else
        options->interval = seconds;
    return true;
}

static bool read_rounds(CtlOptions *options, const char *text, GError **error)
{
    guint64 n;

    if (!g_ascii_string_to_unsigned(text, 10, 1, UINT_MAX, &n, NULL)) {
        error_set(error, "'%s' is no number of pictures", text);
        return false;
    }
    options->n_rounds = (unsigned)n;
    return true;
}

/* The exit status of what ends here; -1: go on. */
static int read_option(CtlOptions *options, int option, GError **error)
{
    switch (option) {
    case 'd':
        g_free(options->folder);
        options->folder = g_strdup(optarg);
        return -1;
    case 't':
    case 'w':
    case 'i':
        return read_times(options, option, optarg, error) ? -1 : EXIT_USAGE;
    case 'n':
        return read_rounds(options, optarg, error) ? -1 : EXIT_USAGE;
    case 's':
        return ctl_columns_find(optarg, &options->sorted, error) ? -1 : EXIT_USAGE;
    case 'f':
        options->force = true;
        return -1;
    case 'h':
        options->help = true;
        return -1;
    case 'V':
        printf("berthctl %s\n", BERTH_VERSION);
        return EXIT_SUCCESS;
    default:
        print_help(stderr);
        return EXIT_USAGE;
    }
}

static const CtlCommand *find_command(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void refuse_command(const char *name, GError **error)
{
    Spelling spelling = { .typed = name };
    g_autofree char *hint = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        spelling_try(&spelling, commands[i].name);
    hint = spelling_hint(&spelling);
    error_set(error, "there is no command '%s' (-h lists them)%s", name, hint);
}

static int run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    const CtlCommand *command = argc > 0 ? find_command(argv[0]) : NULL;
    int n = argc - 1;

    if (argc == 0) {
        print_help(options->help ? stdout : stderr);
        return options->help ? EXIT_SUCCESS : EXIT_USAGE;
    }
    if (!command) {
        refuse_command(argv[0], error);
        return EXIT_USAGE;
    }
    if (options->help) {
        print_command_help(command);
        return EXIT_SUCCESS;
    }
    if (n < command->min_args || (command->max_args >= 0 && n > command->max_args)) {
        error_set(error, "usage: berthctl %s %s", command->name, command->args);
        return EXIT_USAGE;
    }
    return command->run(options, n, argv + 1, error);
}

/* As many descriptors as the user may have: each machine is one. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* What it quotes may be a machine's. */
static void tell_failure(const GError *error)
{
    g_autofree char *text = error ? printable_text(error->message) : NULL;

    if (text)
        fprintf(stderr, "berthctl: %s\n", text);
}

int main(int argc, char **argv)
{
    const char *folder = getenv("BERTH_RUN_DIR");
    CtlOptions options = {
        .folder = g_strdup(folder ? folder : FOLDER),
        .timeout_ns = TIMEOUT_NS,
        .wait_ns = WAIT_NS,
        .interval = 2,
        .sorted = CTL_COLUMN_CPU,
    };
    g_autoptr(GError) error = NULL;
    int status = -1, option;

    raise_limit();
    while (status < 0 && (option = getopt_long(argc, argv, "d:t:w:i:n:s:fhV",
                                               long_options, NULL)) >= 0)
        status = read_option(&options, option, &error);
    if (status < 0)
        status = run(&options, argc - optind, argv + optind, &error);
    tell_failure(error);
    g_free(options.folder);
    return status;
}
