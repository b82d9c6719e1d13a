/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine as run control and its devices see it.
 */
#pragma once

#include "berth/machine.h"

extern const RunOps machine_run_ops;
extern const BoardOps machine_board_ops;

/* Every part to its state at power-on, the kernel loaded anew.  Main, vCPUs paused. */
bool machine_run_reset(Machine *machine, GError **error);
