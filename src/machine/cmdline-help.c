/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help in the shapes that tools read from QEMU.
 */
#include <string.h>

#include "berth/cpu-query.h"
#include "berth/device-qmp.h"
#include "berth/error.h"
#include "berth/log-options.h"
#include "berth/machine.h"
#include "berth/qapi-option.h"
#include "berth/qmp-introspect.h"
#include "berth/trace.h"

#include "cmdline-help.h"

typedef struct HelpTopic {
    const char *option;
    bool (*write)(GString *out, const char *name, GError **error);
} HelpTopic;

char *cmdline_help_text(void)
{
    GString *out = g_string_new(CMDLINE_VERSION_LINE
                                "usage: berth [options]\n\n");

    qapi_option_help(out);
    return g_string_free(out, FALSE);
}

static bool write_branch(GString *out, QapiTypeId type, const char *name,
                         const char *const *base, const char *what, GError **error)
{
    if (qapi_option_help_branch(type, name, base, out))
        return true;
    error_set(error, "there is no %s '%s'", what, name);
    return false;
}

/* Of a device that can be added, or of one of the board. */
static bool write_device_options(GString *out, const char *name, GError **error)
{
    int driver = device_driver_of(name);

    if (driver < 0)
        return write_branch(out, QAPI_TYPE_ONBOARD_DEVICE, name, NULL, "device", error);
    return write_branch(out, QAPI_TYPE_DEVICE_ADD_ARGS, DeviceDriver_str(driver),
                        device_qmp_base_members(driver), "device", error);
}

static bool write_device(GString *out, const char *name, GError **error)
{
    if (name)
        return write_device_options(out, name, error);
    device_qmp_describe_drivers(out);
    return true;
}

static bool write_object(GString *out, const char *name, GError **error)
{
    if (name)
        return write_branch(out, QAPI_TYPE_OBJECT_OPTIONS, name, NULL, "object type",
                            error);
    g_string_append(out, "List of user creatable objects:\n");
    qapi_option_help_values(QAPI_TYPE_OBJECT_TYPE, out);
    return true;
}

static bool write_chardev(GString *out, const char *name, GError **error)
{
    if (name)
        return write_branch(out, QAPI_TYPE_CHARDEV_OPTIONS, name, qmp_introspect_all,
                            "backend", error);
    g_string_append(out, "Available chardev backend types:\n");
    qapi_option_help_values(QAPI_TYPE_CHARDEV_BACKEND_KIND, out);
    return true;
}

static bool write_blockdev(GString *out, const char *name, GError **error)
{
    if (name)
        return write_branch(out, QAPI_TYPE_BLOCKDEV_OPTIONS, name, qmp_introspect_all,
                            "block driver", error);
    g_string_append(out, "Supported block drivers:\n");
    qapi_option_help_values(QAPI_TYPE_BLOCKDEV_DRIVER, out);
    return true;
}

static bool write_netdev(GString *out, const char *name, GError **error)
{
    if (name)
        return write_branch(out, QAPI_TYPE_NETDEV, name, qmp_introspect_all,
                            "network backend", error);
    g_string_append(out, "Available netdev backend types:\n");
    qapi_option_help_values(QAPI_TYPE_NET_CLIENT_DRIVER, out);
    return true;
}

static bool write_machine(GString *out, const char *name, GError **error)
{
    if (name && !machine_types_find(name)) {
        error_set(error, "there is no machine type '%s'", name);
        return false;
    }
    if (name) {
        qapi_option_help_members(QAPI_TYPE_MACHINE_OPTIONS, name, out);
        return true;
    }
    g_string_append(out, "Supported machines are:\n");
    for (const MachineType *type = machine_types(); *type->name; type++) {
        const char *description = machine_types_description(type);

        if (*type->alias)
            g_string_append_printf(out, "%-20s %s (alias of %s)\n", type->alias,
                                   description, type->name);
        g_string_append_printf(out, "%-20s %s%s\n", type->name, description,
                               type->is_default ? " (default)" : "");
    }
    return true;
}

static bool write_accel(GString *out, const char *name, GError **error)
{
    if (name) {
        qapi_option_help_members(QAPI_TYPE_ACCEL_OPTIONS, name, out);
        return true;
    }
    g_string_append(out, "Accelerators supported by berth:\nkvm\n");
    return true;
}

static bool write_cpu(GString *out, const char *name, GError **error)
{
    g_autoptr(GPtrArray) list = cpu_query_definitions(NULL);

    g_string_append(out, "Available CPUs:\n");
    for (guint i = 0; i < list->len; i++) {
        const CpuDefinition *definition = g_ptr_array_index(list, i);

        g_string_append_printf(out, "  %-20s  %s\n", definition->name, definition->text);
    }
    g_string_append(out, "\nRecognized CPUID flags:\n");
    cpu_features_help(out);
    return true;
}

static bool write_display(GString *out, const char *name, GError **error)
{
    g_string_append(out, "Available display backend types:\nnone\n");
    return true;
}

static bool write_log_items(GString *out, const char *name, GError **error)
{
    log_options_help(out);
    return true;
}

static bool write_traces(GString *out, const char *name, GError **error)
{
    g_autoptr(GArray) points = trace_list(NULL);

    for (guint i = 0; i < points->len; i++)
        g_string_append_printf(out, "%s\n", g_array_index(points, TraceState, i).name);
    return true;
}

static const HelpTopic topics[] = {
    {"device", write_device},   {"object", write_object}, {"chardev", write_chardev},
    {"machine", write_machine}, {"accel", write_accel},   {"cpu", write_cpu},
    {"display", write_display}, {"d", write_log_items},   {"trace", write_traces},
    {"blockdev", write_blockdev}, {"netdev", write_netdev},
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

/* "X" of "X,help" and of "driver=X,help", NULL of "help"; the caller frees. */
static char *name_in(const char *text)
{
    const char *comma = strchr(text, ',');
    const char *equals = strchr(text, '=');
    const char *start = equals && equals < comma ? equals + 1 : text;

    return comma ? g_strndup(start, (gsize)(comma - start)) : NULL;
}

/* Of an option that has no list of its own. */
static void write_keys(GString *out, const char *name)
{
    g_autofree char *word = g_strconcat("-", name, NULL);
    const CmdlineOption *option = qapi_option_find(word);

    if (option && option->type)
        qapi_option_help_members(option->type, qapi_text(option->group), out);
    else
        g_string_append_printf(out, "-%s has no list of its values; see -help\n", name);
}

char *cmdline_help_for(const char *option, const char *text, GError **error)
{
    const HelpTopic *topic = find_topic(option);
    g_autofree char *name = name_in(text);
    g_autoptr(GString) out = g_string_new(NULL);

    if (!topic)
        write_keys(out, option);
    else if (!topic->write(out, name, error))
        return NULL;
    return g_string_free(g_steal_pointer(&out), FALSE);
}
