/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root ports that a machine has without being asked: places for devices that come while
 * it runs.  Main only.
 */
#pragma once

#include "berth/machine.h"

/*
 * After the devices of the command line: some, unless it has a root port of its own or
 * says "-nodefaults".  Where the root bus is full there are none.
 */
bool default_ports_add(Machine *machine, GError **error);
