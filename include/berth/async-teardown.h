/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that shares this one's memory and gives it back when this one has ended: so
 * that the end of a large guest does not take the time of freeing its pages.  Main only.
 */
#pragma once

#include "berth/base.h"

/*
 * Starts it, named "cleanup/PID" (of the caller).  It holds no descriptor, ends with the
 * caller however that ends, and can call nothing but wait.  False with @error when the
 * host's kernel lacks what is needed.
 */
bool async_teardown_start(GError **error);
