/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a failure is told.
 *
 * A function that can fail for a reason that somebody will read takes GError **error last
 * and returns a bool, a pointer or a descriptor; false, NULL or -1 exactly when @error
 * was set:
 *
 *     if (!thing_open(thing, path, error))
 *         return false;
 *
 * The message is lower case, without a full stop, names what is wrong in single quotes,
 * and says what was expected:
 *
 *     error_set(error, "parameter '%s' expects a size up to %u", name, max);
 *     error_set_errno(error, errno, "cannot open '%s'", path);
 *
 * A boundary where the reader would lose the place adds it: g_prefix_error(error,
 * "device '%s': ", id).  Return an error or log it, never both.  Wrong:
 *
 *     thing_open(thing, path, NULL);           the reason is lost
 *     if (error && *error) ...                 @error may be NULL; look at the result
 *     log_error("cannot open"); return false;  told without the reason, or told twice
 *
 * Hot paths return a negative errno and make no GError.  Thread: any.
 */
#pragma once

#include "berth/base.h"

#define BERTH_ERROR (berth_error_quark())

/* The classes of the QMP specification; a client may act on them, never on the words. */
typedef enum BerthError {
    BERTH_ERROR_GENERIC,
    BERTH_ERROR_COMMAND_NOT_FOUND,
    BERTH_ERROR_DEVICE_NOT_FOUND,
    BERTH_ERROR_DEVICE_NOT_ACTIVE,
    BERTH_ERROR_KVM_MISSING_CAP,
} BerthError;

GQuark berth_error_quark(void);

/* Sets a GENERIC error. */
void error_set(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Sets an error of class @code. */
void error_set_class(GError **error, BerthError code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Sets a GENERIC error that ends in ": " and the text of @errnum, which is positive. */
void error_set_errno(GError **error, int errnum, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/*
 * The text of @errnum: constant, without a lock, a locale or a file, unlike what
 * g_strerror() gives.
 */
const char *error_text(int errnum);

/* The class name as QMP spells it, "GenericError" for an error of another domain. */
const char *error_class_name(const GError *error);
