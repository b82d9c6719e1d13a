/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth's tables under the paths of QEMU's object model:
 *
 *     /machine                         the machine and its options
 *     /machine/peripheral/ID           devices with an id
 *     /machine/peripheral-anon/...     devices without
 *     /machine/unattached/device[N]    vCPUs
 *     /objects/ID, /chardevs/ID        objects, character devices
 *
 * Main only.  A path that is not there is DeviceNotFound.
 */
#pragma once

#include "berth/machine.h"
#include "berth/qapi.h"

/* What is at @path: "child<TYPE>" and properties. */
ObjectPropertyInfoList *qom_view_list(Machine *machine, const char *path, GError **error);
JsonValue *qom_view_get(Machine *machine, const char *path, const char *property,
                        GError **error);
/* All at @path, with their values. */
ObjectPropertyValueList *qom_view_list_get(Machine *machine, const char *path,
                                           GError **error);
/* An error where the property cannot change, unless @value is what it has. */
bool qom_view_set(Machine *machine, const char *path, const char *property,
                  const JsonValue *value, GError **error);
