/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-global": what a device's property is when the device does not say.
 *
 * A device that is added gets them before its arguments are parsed, so that the schema
 * checks the whole:
 *
 *     json = {"driver": "isa-serial", "chardev": "c"}
 *     args = device_globals_parse(globals, json, QAPI_INPUT_TEXT, error);
 *
 * A device of the board has no other arguments than these.  Main only.
 */
#pragma once

#include "berth/json.h"
#include "qapi-types.h"

typedef struct DeviceGlobals DeviceGlobals;

DeviceGlobals *device_globals_new(void);
/* Accepts NULL. */
void device_globals_free(DeviceGlobals *globals);

/*
 * Takes the argument of one -global: "driver.property=value" or
 * "driver=X,property=Y,value=Z".  False with @error when there is no such driver or
 * property, or it cannot have the value.  The last of a property counts.
 */
bool device_globals_add(DeviceGlobals *globals, const char *text, GError **error);

/* The same of the pairs "driver", "property" and "value". */
bool device_globals_add_pairs(DeviceGlobals *globals, const JsonValue *pairs,
                              GError **error);

/* What was given for a property, lent; NULL when nothing was. */
const JsonValue *device_globals_find(const DeviceGlobals *globals, const char *driver,
                                     const char *property);

/*
 * What @json describes (a DeviceAddArgs that is not parsed yet), with the globals of its
 * driver for what it leaves out.  NULL with @error.
 */
DeviceAddArgs *device_globals_parse(const DeviceGlobals *globals, const JsonValue *json,
                                    QapiInput input, GError **error);

/* Logs what the devices that were parsed since are less of than they were named for. */
void device_globals_warn(const DeviceGlobals *globals);

/*
 * QmpContext.parse: the arguments of device_add are a device's, with the globals of the
 * command line; what is a text there may be one here.
 */
void *device_globals_parse_request(QmpContext *ctx, QapiTypeId type,
                                   const JsonValue *json, GError **error);

/* The properties of a device of the board. */
OnboardDevice *device_globals_onboard(const DeviceGlobals *globals, OnboardDriver driver,
                                      GError **error);
