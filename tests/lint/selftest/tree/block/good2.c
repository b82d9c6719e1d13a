/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/aio.h"
#include <libaio.h>
