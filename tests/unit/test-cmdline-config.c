/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files by -readconfig, and what clients are told of them. */
#include <string.h>
#include <unistd.h>

#include "berth/cmdline.h"
#include "berth/error.h"
#include "berth/qapi-tables.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

/* A file with @text is read after the words of @before, and before those of @after. */
static Cmdline *parse_size(const char *before, const char *text, size_t size,
                           const char *after, GError **error)
{
    g_autofree char *path = NULL;
    g_autofree char *line = NULL;
    g_auto(GStrv) argv = NULL;
    g_autofd int fd = g_file_open_tmp("berth-config-XXXXXX", &path, NULL);
    Cmdline *cmdline;

    g_assert_cmpint(write(fd, text, size), ==, (ssize_t)size);
    line = g_strconcat("berth ", before, "-readconfig ", path, after, NULL);
    argv = g_strsplit(line, " ", -1);
    cmdline = cmdline_parse((int)g_strv_length(argv), argv, error);
    unlink(path);
    return cmdline;
}

static Cmdline *parse(const char *text, GError **error)
{
    return parse_size("", text, strlen(text), "", error);
}

static void test_sections_are_options(void)
{
    static const char text[] = "# a comment\n"
                               "\n"
                               "[machine]\n"
                               "  type = \"q35\"\n"
                               "  mem_merge=\"off\"\n"
                               "[smp-opts]\n"
                               "cpus\t=\t\"3\"\n"
                               "[memory]\n"
                               "  size = \"512\"\n"
                               "[name]\n"
                               "  guest = \"a,b = [c] #d\"  \n"
                               "[boot-opts]\n"
                               "  strict = \"on\"\n"
                               "  order = \"\"\n"
                               "[global]\n"
                               "  driver = \"pcie-root-port\"\n"
                               "  property = \"chassis\"\n"
                               "  value = \"5\"\n"
                               "[device \"p\"]\n"
                               "  driver = \"pcie-root-port\"\n"
                               "[chardev \"c\"]\r\n"
                               "  backend = \"null\"";
    g_autoptr(GError) error = NULL;
    g_autoptr(Cmdline) cmdline = parse(text, &error);
    const DeviceAddArgs *device;
    const ChardevOptions *chardev;

    g_assert_no_error(error);
    g_assert_cmpstr(cmdline->machine->type, ==, "q35");
    g_assert_false(cmdline->machine->mem_merge);
    g_assert_cmpint(cmdline->smp->cpus, ==, 3);
    g_assert_cmpuint(cmdline->memory->size, ==, 512 * MIB);
    g_assert_cmpstr(cmdline->name->guest, ==, "a,b = [c] #d");
    g_assert_true(cmdline->boot->strict);
    g_assert_cmpstr(cmdline->boot->order, ==, "");
    device = g_ptr_array_index(cmdline->devices, 0);
    g_assert_cmpstr(device->id, ==, "p");
    g_assert_cmpuint(device->u.pcie_root_port.chassis, ==, 5);
    chardev = g_ptr_array_index(cmdline->chardevs, 0);
    g_assert_cmpstr(chardev->id, ==, "c");
}

static void test_order_with_options_counts(void)
{
    static const char text[] = "[smp-opts]\ncpus = \"3\"\n";
    g_autoptr(Cmdline) later = parse_size("-smp 2 ", text, strlen(text), "", NULL);
    g_autoptr(Cmdline) earlier = parse_size("", text, strlen(text), " -smp 2", NULL);

    g_assert_cmpint(later->smp->cpus, ==, 3);
    g_assert_cmpint(earlier->smp->cpus, ==, 2);
}

static void test_faults_name_the_line(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "[machine]\ntype\n", ":2: expected KEY" },
        { "[machine]\ntype = q35\n", ":2: expected KEY" },
        { "[machine]\ntype = \"q35\n", ":2: expected KEY" },
        { "[machine]\ntype = \"q35\" x\n", ":2: expected KEY" },
        { "[machine]\n = \"q35\"\n", ":2: expected KEY" },
        { "[machine]\na,b = \"q35\"\n", ":2: expected KEY" },
        { "[machine]\n{\"type\" = \"q35\"\n", ":2: expected KEY" },
        { "type = \"q35\"\n", ":1: there is no [GROUP]" },
        { "[machine\n", ":1: expected [GROUP]" },
        { "[]\n", ":1: expected [GROUP]" },
        { "[device \"a]\n", ":1: expected [GROUP]" },
        { "[device \"a\" b]\n", ":1: expected [GROUP]" },
        { "[device \"a\"] b\n", ":1: expected [GROUP]" },
        { "\n[gadget]\n", "option group 'gadget'" },
        { "[help]\n", "option group 'help'" },
        { "[kernel]\n", "option group 'kernel'" },
        { "[readconfig]\n", "option group 'readconfig'" },
        { "[smp-opts]\nwheels = \"4\"\n", ":1: [smp-opts]: Parameter 'wheels'" },
        { "[smp-opts \"a\"]\ncpus = \"4\"\n", "'id'" },
        { "[device \"a\"]\ndriver = \"floppy\"\n", ":1: [device]: Parameter 'driver'" },
        { "[device \"a\"]\n", ":1: [device]: Parameter 'driver' is missing" },
        { "[object \"a\"]\nqom-type = \"x\"\n", ":1: [object]" },
        { "[global]\ndriver = \"floppy\"\nproperty = \"a\"\nvalue = \"b\"\n", "floppy" },
        { "[machine]\na..b = \"c\"\n", "'a..b'" },
        { "[machine]\nsmbus = \"on\"\n", "smbus=on" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Cmdline) cmdline = parse(cases[i].text, &error);

        g_assert_null(cmdline);
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
    }
}

static void test_file_without_end_is_refused(void)
{
    const size_t long_line = 70000;
    g_autofree char *text = g_strnfill(long_line, '#');
    g_autofree char *lines = g_strnfill(70000, '\n');
    static const char zero[] = "[machine]\0\ntype = \"q35\"\n";
    char *argv[] = {
        (char *)"berth", (char *)"-readconfig", (char *)"/dev/zero", NULL,
    };
    g_autoptr(GError) error = NULL;

    g_assert_null(parse(text, &error));
    g_assert_nonnull(strstr(error->message, ":1: "));
    g_clear_error(&error);
    g_assert_null(parse(lines, &error));
    g_assert_nonnull(strstr(error->message, "lines"));
    g_clear_error(&error);
    g_assert_null(parse_size("", zero, sizeof(zero) - 1, "", &error));
    g_clear_error(&error);
    g_assert_null(cmdline_parse(3, argv, &error));
    g_assert_nonnull(strstr(error->message, "/dev/zero"));
    g_clear_error(&error);
    argv[2] = (char *)"/absent/file";
    g_assert_null(cmdline_parse(3, argv, &error));
    g_assert_nonnull(strstr(error->message, "/absent/file"));
    g_clear_error(&error);
    argv[2] = (char *)"/";
    g_assert_null(cmdline_parse(3, argv, &error));
}

static const CommandLineOptionInfo *find(const CommandLineOptionInfoList *list,
                                         const char *option)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i]->option, option) == 0)
            return list->items[i];
    }
    g_error("there is no option '%s'", option);
}

static CommandLineParameterType type_of(const CommandLineOptionInfo *info,
                                        const char *name)
{
    for (size_t i = 0; i < info->parameters->n; i++) {
        if (strcmp(info->parameters->items[i]->name, name) == 0)
            return info->parameters->items[i]->type;
    }
    g_error("'%s' has no '%s'", info->option, name);
}

static void test_clients_are_told_groups_and_parameters(void)
{
    QueryCommandLineOptionsArgs args = { 0 };
    g_autoptr(CommandLineOptionInfoList) all =
        qmp_query_command_line_options(NULL, &args, NULL);
    g_autoptr(CommandLineOptionInfoList) one = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(type_of(find(all, "smp-opts"), "dies"), ==,
                    COMMAND_LINE_PARAMETER_TYPE_NUMBER);
    g_assert_cmpint(type_of(find(all, "memory"), "maxmem"), ==,
                    COMMAND_LINE_PARAMETER_TYPE_SIZE);
    g_assert_cmpint(type_of(find(all, "machine"), "hpet"), ==,
                    COMMAND_LINE_PARAMETER_TYPE_BOOLEAN);
    g_assert_cmpint(type_of(find(all, "chardev"), "path"), ==,
                    COMMAND_LINE_PARAMETER_TYPE_STRING);
    g_assert_cmpuint(find(all, "device")->parameters->n, ==, 0);

    args.option = (char *)"boot-opts";
    one = qmp_query_command_line_options(NULL, &args, NULL);
    g_assert_cmpuint(one->n, ==, 1);
    args.option = (char *)"boot";
    g_assert_null(qmp_query_command_line_options(NULL, &args, &error));
    g_assert_true(g_error_matches(error, BERTH_ERROR, BERTH_ERROR_GENERIC));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cmdline-config/sections-are-options", test_sections_are_options);
    g_test_add_func("/cmdline-config/order-with-options-counts",
                    test_order_with_options_counts);
    g_test_add_func("/cmdline-config/faults-name-the-line", test_faults_name_the_line);
    g_test_add_func("/cmdline-config/file-without-end-is-refused",
                    test_file_without_end_is_refused);
    g_test_add_func("/cmdline-config/clients-are-told-groups-and-parameters",
                    test_clients_are_told_groups_and_parameters);
    return g_test_run();
}
