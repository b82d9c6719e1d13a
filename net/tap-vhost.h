/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own way from a tap to the guest's rings: vhost-net.  Main only.
 */
#pragma once

#include "berth/net-driver.h"

/* Whether the keys about it go together. */
bool tap_vhost_check(const NetdevTapOptions *options, GError **error);
/*
 * Has each queue of @backend, which are open, served by the kernel if @options want that
 * and the host can.  False with @error when it must be, and cannot.
 */
bool tap_vhost_open(NetBackend *backend, const NetdevTapOptions *options, bool has_header,
                    GError **error);
