/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UUIDs (RFC 9562): 16 bytes in the order of their text.  Thread: any.
 */
#pragma once

#include "berth/base.h"

#define UUID_TEXT_SIZE 37u              /* with the NUL at the end */

typedef struct Uuid {
    uint8_t bytes[16];
} Uuid;

/* "01234567-89ab-cdef-0123-456789abcdef" in either case; false of anything else. */
bool uuid_parse(const char *text, Uuid *ret_uuid);

/* In lower case. */
void uuid_format(const Uuid *uuid, char text[UUID_TEXT_SIZE]);

/* A random one (version 4).  False with @error when the host gives no random bytes. */
bool uuid_random(Uuid *ret_uuid, GError **error);

/*
 * In the order of firmware tables (ACPI, SMBIOS 2.6, EFI): the first three fields are
 * little-endian.
 */
Uuid uuid_to_little(const Uuid *uuid);
