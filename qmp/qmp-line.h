/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line on the wire: one JSON object and CR LF.
 */
#pragma once

#include "berth/json.h"

static inline void qmp_line_begin(JsonWriter *writer, GString *out, bool pretty)
{
    json_writer_init(writer, out, pretty);
    json_writer_begin_object(writer);
}

static inline void qmp_line_end(JsonWriter *writer)
{
    json_writer_end_object(writer);
    g_string_append(writer->out, "\r\n");
}
