/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-smp": from what the operator said to a whole topology.  Any thread.
 */
#pragma once

#include "berth/vcpu.h"
#include "qapi-types.h"

/*
 * Fills in what @options (NULL: nothing was said) leave out and checks the result.  At
 * most @limit vCPUs are possible, 1 to 65535.  The error names the parameter and the
 * numbers.
 */
bool smp_parse(const SmpOptions *options, unsigned limit, CpuTopology *ret_topology,
               GError **error);
