/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema as clients ask for it.  Main only.
 */
#pragma once

#include "qapi-types.h"

/*
 * Every command, event and type that these use, as query-qmp-schema tells.  Made from the
 * tables by each call and kept nowhere: a client asks once.
 */
SchemaInfoList *qmp_introspect(void);

/*
 * The properties of what @value of the discriminator of union @type is: first those of
 * the union's own members that @base names, ended by NULL (NULL: none), or all but those
 * that only identify it (the discriminator, id, bus).  The caller's.
 */
extern const char *const qmp_introspect_all[];
ObjectPropertyInfoList *qmp_introspect_branch(QapiTypeId type, int value,
                                              const char *const *base);

/* The members of a struct, or of what all branches of a union have. The caller's. */
ObjectPropertyInfoList *qmp_introspect_members(QapiTypeId type);
