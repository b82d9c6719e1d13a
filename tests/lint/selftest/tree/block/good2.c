/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/loop.h"
#include <libaio.h>
