/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments of commands from words, with the types that the schema gives them.
 */
#pragma once

#include "ctl.h"

/*
 * The arguments of QMP command @command from @n words "key=value", or one word of JSON;
 * NULL with @error.  *@ret_none: it takes none.  A command that the schema does not know
 * (the machine's berth may be newer) gets values that are JSON where they look like it.
 */
JsonValue *ctl_args_of_command(const char *command, char **words, int n, GError **error);

/* The arguments of device_add from "DRIVER,key=value...". */
JsonValue *ctl_args_of_device(const char *text, GError **error);

/* Bytes from "512M"; false with @error. */
bool ctl_args_size(const char *text, uint64_t *ret_bytes, GError **error);
