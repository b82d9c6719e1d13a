/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of the command line and texts of help, from the schema.  Main only.
 *
 *     option = qapi_option_find("-device");
 *     json = qapi_option_read(option, "isa-serial,chardev=c", &help, error);
 *     args = qapi_parse(option->type, json, QAPI_INPUT_TEXT, error);
 *
 * Of an option with CMDLINE_MERGE, json of each further occurrence is added to the
 * first's by keyval_merge() before it is parsed.
 */
#pragma once

#include "berth/qapi-tables.h"

/* The option that @word is ("-name", "--name", "-h"), NULL when there is none. */
const CmdlineOption *qapi_option_find(const char *word);

/* The option that a section of a configuration file is, NULL when there is none. */
const CmdlineOption *qapi_option_find_group(const char *group);

/*
 * The pairs of @text, or the JSON object that it is when the option takes those; the key
 * of a list of texts may be given several times.  Only for CMDLINE_ARG_DATA.
 * *@ret_help says that help was asked for ("help", "isa-serial,help").  NULL with @error.
 */
JsonValue *qapi_option_read(const CmdlineOption *option, const char *text, bool *ret_help,
                            GError **error);

/* Appends the text of -help: each option with its keys. */
void qapi_option_help(GString *out);

/* Appends the values of enum @type, a line for each: "  iothread". */
void qapi_option_help_values(QapiTypeId type, GString *out);

/* Appends "TITLE options:" and a line for each member of struct @type. */
void qapi_option_help_members(QapiTypeId type, const char *title, GString *out);

/*
 * Appends "NAME options:" and a line for each property of what @name is in the
 * discriminator of union @type; @base as in qmp_introspect_branch().  False when
 * it is nothing.
 */
bool qapi_option_help_branch(QapiTypeId type, const char *name,
                             const char *const *base, GString *out);
