/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a chipset, which shows and hides memory while processors run beside it.
 */
#pragma once

#include "berth/region.h"

/*
 * The hypervisor gets the memory on both sides of @gpa, of whole pages, apart, also in
 * system management mode: a change on one side, which takes memory away for a moment, is
 * not felt by processors that run on the other.  Main only.
 */
void address_space_cut(AddressSpace *as, uint64_t gpa);
