/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/kvm.h>

#include "berth/loop.h"
#include "berth/vm.h"
