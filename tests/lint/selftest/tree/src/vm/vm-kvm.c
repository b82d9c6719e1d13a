/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/loop.h"
#include "berth/vm.h"

#include <linux/kvm.h>
