/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that operators and clients give to things: a letter, then letters, digits,
 * '-', '.' and '_'.  Any thread.
 */
#pragma once

#include "berth/base.h"

/* False with @error that names the parameter @parameter when @id is not such a name. */
bool id_check(const char *id, const char *parameter, GError **error);
