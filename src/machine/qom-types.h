/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The types that clients know berth's devices, objects and machines by.  Main only.
 */
#pragma once

#include "berth/qapi.h"

#include "qapi-types.h"

/* All types, or those that are of type @implements; abstract ones only when @abstract. */
ObjectTypeInfoList *qom_types_list(const char *implements, bool abstract);
/* The properties of a type; DeviceNotFound for one that is not there. */
ObjectPropertyInfoList *qom_types_properties(const char *name, GError **error);

/* The name of the type of member @name of a union whose discriminator is @branch. */
const char *qom_types_member(QapiTypeId type, unsigned branch, const char *name);
