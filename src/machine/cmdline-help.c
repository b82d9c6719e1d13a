/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help in the shapes that tools read from QEMU.
 */
#include <string.h>

#include "berth/machine.h"
#include "berth/qapi-option.h"
#include "berth/trace.h"

#include "cmdline-help.h"

typedef struct HelpTopic {
    const char *option;
    void (*write)(GString *out, const char *name);
} HelpTopic;

char *cmdline_help_text(void)
{
    GString *out = g_string_new(CMDLINE_VERSION_LINE
                                "usage: berth [options]\n\n");

    qapi_option_help(out);
    return g_string_free(out, FALSE);
}

static void write_branch(GString *out, QapiTypeId type, const char *name,
                         const char *what)
{
    if (!qapi_option_help_branch(type, name, true, out))
        g_string_append_printf(out, "there is no %s '%s'\n", what, name);
}

static void write_device(GString *out, const char *name)
{
    if (name) {
        write_branch(out, QAPI_TYPE_DEVICE_ADD_ARGS, name, "device");
        return;
    }
    for (int i = 0; i < DEVICE_DRIVER__MAX; i++) {
        const DeviceClass *class = device_kinds[i].class;
        const char *description = device_description(i);
        static const char *const buses[] = { [BUS_PCI] = "PCI", [BUS_ISA] = "ISA" };
        const char *bus =
            class->bus < (int)G_N_ELEMENTS(buses) ? buses[class->bus] : NULL;

        g_string_append_printf(out, "name \"%s\"", DeviceDriver_str(i));
        if (bus)
            g_string_append_printf(out, ", bus %s", bus);
        if (description)
            g_string_append_printf(out, ", desc \"%s\"", description);
        g_string_append_c(out, '\n');
    }
}

static void write_object(GString *out, const char *name)
{
    if (name) {
        write_branch(out, QAPI_TYPE_OBJECT_OPTIONS, name, "object type");
        return;
    }
    g_string_append(out, "List of user creatable objects:\n");
    qapi_option_help_values(QAPI_TYPE_OBJECT_TYPE, out);
}

static void write_chardev(GString *out, const char *name)
{
    g_string_append(out, "Available chardev backend types:\n");
    qapi_option_help_values(QAPI_TYPE_CHARDEV_BACKEND_KIND, out);
}

static void write_machine(GString *out, const char *name)
{
    g_string_append(out, "Supported machines are:\n");
    for (const MachineType *type = machine_types(); type->name; type++) {
        if (type->alias)
            g_string_append_printf(out, "%-20s %s (alias of %s)\n", type->alias,
                                   type->description, type->name);
        g_string_append_printf(out, "%-20s %s%s\n", type->name, type->description,
                               type->is_default ? " (default)" : "");
    }
}

static void write_accel(GString *out, const char *name)
{
    g_string_append(out, "Accelerators supported by berth:\nkvm\n");
}

static void write_cpu(GString *out, const char *name)
{
    g_string_append(out, "Available CPUs:\n"
                    "  host                  all that KVM offers of this host's CPU\n"
                    "  max                   the same\n\n"
                    "Recognized CPUID flags:\n");
    cpu_features_help(out);
}

static void write_display(GString *out, const char *name)
{
    g_string_append(out, "Available display backend types:\nnone\n");
}

static void write_log_items(GString *out, const char *name)
{
    g_string_append(out, "Log items (comma separated):\n"
                    "guest_errors    what the guest did wrong (always written)\n"
                    "info            acts such as start and reset\n"
                    "debug           everything\n"
                    "trace:PATTERN   the trace points that match\n");
}

static void write_traces(GString *out, const char *name)
{
    g_autoptr(GArray) points = trace_list(NULL);

    for (guint i = 0; i < points->len; i++)
        g_string_append_printf(out, "%s\n", g_array_index(points, TraceState, i).name);
}

static const HelpTopic topics[] = {
    {"device", write_device},   {"object", write_object}, {"chardev", write_chardev},
    {"machine", write_machine}, {"accel", write_accel},   {"cpu", write_cpu},
    {"display", write_display}, {"d", write_log_items},   {"trace", write_traces},
};

static const HelpTopic *find_topic(const char *option)
{
    for (size_t i = 0; i < G_N_ELEMENTS(topics); i++) {
        if (strcmp(topics[i].option, option) == 0)
            return &topics[i];
    }
    return NULL;
}

bool cmdline_help_exists(const char *option)
{
    return find_topic(option) != NULL;
}

char *cmdline_help_for(const char *option, const char *text)
{
    const HelpTopic *topic = find_topic(option);
    const char *comma = strchr(text, ',');
    g_autofree char *name = comma ? g_strndup(text, (gsize)(comma - text)) : NULL;
    GString *out = g_string_new(NULL);

    if (topic)
        topic->write(out, name);
    else
        g_string_append_printf(out, "-%s has no list of its values; see -help\n", option);
    return g_string_free(out, FALSE);
}
