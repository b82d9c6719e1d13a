/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/block-driver.h"
#include "berth/machine.h"
#include "berth/qmp.h"
