/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that a machine has without a -device: root ports, places for what comes while
 * it runs; the USB controller of "usb=on".  Main only.
 */
#pragma once

#include "berth/machine.h"

/*
 * After the devices of the command line, in slots that those leave: the USB controller,
 * if it is asked for; root ports, unless the machine has one of its own or says
 * "-nodefaults".  Where the root bus is full there are none, and USB is an error.
 */
bool default_devices_add(Machine *machine, GError **error);
