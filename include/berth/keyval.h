/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key=value text of the command line, "key=value,key2=value2", to JSON whose scalars are
 * texts; qapi_parse(..., QAPI_INPUT_TEXT) gives them their types.
 *
 * A comma in a value is written twice.  "a.b=x" is member b of object a; "a.0=x,a.1=y"
 * is a list.  A key alone means key=on.  The first pair may leave out its key when
 * there is an implied one.  A key given twice has its last value.  "help" or "?" alone
 * asks for help.
 *
 * Thread: any.
 */
#pragma once

#include "berth/json.h"

/* The most pairs in one object, and the deepest dotted key. */
#define KEYVAL_MAX_PAIRS 4096
#define KEYVAL_MAX_DEPTH 32

/*
 * A new object from @text.  @implied is the key of a first pair without one, NULL for
 * none. *@ret_help (may be NULL: then "help" is a key like others) says whether help
 * was asked for.  NULL with @error that names the key.
 */
JsonValue *keyval_parse(const char *text, const char *implied, bool *ret_help,
                        GError **error);

/*
 * The same for a text in which a key of @lists (ended by NULL) may be given several
 * times: its value is a list of texts, to which each pair adds one.
 */
JsonValue *keyval_parse_lists(const char *text, const char *implied,
                              const char *const *lists, bool *ret_help, GError **error);

/* Adds the members of @more, which is taken, to @object; objects in both are merged. */
void keyval_merge(JsonValue *object, JsonValue *more);
