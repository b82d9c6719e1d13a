/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The border to json-c: its values under the name JsonValue, and its parser.
 *
 * json-c shows null as a NULL pointer, which for us means "there is none".  So our null
 * is the address of a constant.
 */
#pragma once

#include <json-c/json.h>

#include "berth/json.h"

extern const char json_tree_null[1];

static inline json_object *json_to_tree(const JsonValue *value)
{
    return (const char *)value == json_tree_null ? NULL : (json_object *)value;
}

static inline JsonValue *json_from_tree(const json_object *object)
{
    return object ? (JsonValue *)object : (JsonValue *)json_tree_null;
}

/*
 * The value that @text is:  @size bytes, then a NUL.  @depth brackets and @n_colons
 * colons outside of texts are in it.  NULL when it is no JSON; *@ret_fault, a constant,
 * says why.
 */
JsonValue *json_tree_build(const char *text, size_t size, unsigned depth, size_t n_colons,
                           const char **ret_fault);
