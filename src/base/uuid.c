/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a UUID, and its bytes.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "berth/error.h"
#include "berth/uuid.h"

/* Where the text has digits, two a byte. */
static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

G_STATIC_ASSERT(sizeof(form) == UUID_TEXT_SIZE);

bool uuid_parse(const char *text, Uuid *ret_uuid)
{
    Uuid uuid = { 0 };
    unsigned n = 0;

    if (strlen(text) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (form[i] == '-') {
            if (text[i] != '-')
                return false;
            continue;
        }
        if (!g_ascii_isxdigit(text[i]))
            return false;
        uuid.bytes[n / 2] |= g_ascii_xdigit_value(text[i]) << (n % 2 ? 0 : 4);
        n++;
    }
    *ret_uuid = uuid;
    return true;
}

void uuid_format(const Uuid *uuid, char text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned n = 0;

    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        text[i] = form[i];
        if (form[i] == '-')
            continue;
        text[i] = digits[uuid->bytes[n / 2] >> (n % 2 ? 0 : 4) & 0xf];
        n++;
    }
    text[sizeof(form) - 1] = '\0';
}

bool uuid_random(Uuid *ret_uuid, GError **error)
{
    Uuid uuid;

    if (getrandom(uuid.bytes, sizeof(uuid.bytes), 0) != sizeof(uuid.bytes)) {
        error_set_errno(error, errno, "cannot make a random UUID");
        return false;
    }
    uuid.bytes[6] = (uuid.bytes[6] & 0x0f) | 0x40;
    uuid.bytes[8] = (uuid.bytes[8] & 0x3f) | 0x80;
    *ret_uuid = uuid;
    return true;
}

Uuid uuid_to_little(const Uuid *uuid)
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14,
                                       15 };
    Uuid little;

    for (unsigned i = 0; i < sizeof(order); i++)
        little.bytes[i] = uuid->bytes[order[i]];
    return little;
}
