/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/char.h"
#include "berth/device.h"
#include "berth/irq.h"
#include "good-private.h"
