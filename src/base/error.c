/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as GError of one domain whose codes are QMP's error classes.
 */
#include <stdarg.h>
#include <string.h>

#include "berth/error.h"

static const char *const class_names[] = {
    [BERTH_ERROR_GENERIC] = "GenericError",
    [BERTH_ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
    [BERTH_ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
    [BERTH_ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
    [BERTH_ERROR_KVM_MISSING_CAP] = "KVMMissingCap",
};

GQuark berth_error_quark(void)
{
    return g_quark_from_static_string("berth-error");
}

G_GNUC_PRINTF(3, 0)
static void set_valist(GError **error, BerthError code, const char *format, va_list args)
{
    if (error)
        *error = g_error_new_valist(BERTH_ERROR, code, format, args);
}

void error_set(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_valist(error, BERTH_ERROR_GENERIC, format, args);
    va_end(args);
}

void error_set_class(GError **error, BerthError code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_valist(error, code, format, args);
    va_end(args);
}

void error_set_errno(GError **error, int errnum, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (!error)
        return;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    *error = g_error_new(BERTH_ERROR, BERTH_ERROR_GENERIC, "%s: %s", text,
                         error_text(errnum));
}

const char *error_text(int errnum)
{
    const char *text = strerrordesc_np(errnum);

    return text ? text : "unknown error";
}

const char *error_class_name(const GError *error)
{
    if (error->domain != BERTH_ERROR || error->code < 0 ||
        (size_t)error->code >= G_N_ELEMENTS(class_names))
        return class_names[BERTH_ERROR_GENERIC];
    return class_names[error->code];
}
