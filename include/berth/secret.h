/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords and keys, objects that others refer to by id.  Main only.
 */
#pragma once

#include "berth/object.h"

extern const ObjectClass secret_class;

/* The most bytes of a secret. */
#define SECRET_SIZE_MAX (64 * KIB)

/*
 * The bytes of secret @id, lent while the object is there: who keeps them makes a copy
 * and wipes it.  They may hold NUL; a NUL that does not count follows them.  NULL with
 * @error that names the secret.
 */
const uint8_t *secret_find(ObjectSet *set, const char *id, size_t *ret_size,
                           GError **error);
/* The same as a text: an error when it is no UTF-8. */
const char *secret_find_text(ObjectSet *set, const char *id, GError **error);
