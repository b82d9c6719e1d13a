/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/base.h"
#include "berth/device.h"
#include "berth/mystery.h"
#include "berth/region.h"
#include "../x86/good-private.h"
#include "good-private.h"
#include <gio/gio.h>
#include <linux/kvm.h>
