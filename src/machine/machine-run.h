/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine as run control and its devices see it.
 */
#pragma once

#include "berth/machine.h"
#include "berth/net-set.h"

extern const RunOps machine_run_ops;
extern const BoardOps machine_board_ops;
extern const NetSetOps machine_net_ops;

/* Every part to its state at power-on, the kernel loaded anew.  Main, vCPUs paused. */
bool machine_run_reset(Machine *machine, GError **error);
