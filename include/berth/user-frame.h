/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a guest on a user network.
 */
#pragma once

#include "berth/base.h"

/* Ethernet's header with a VLAN tag, and what libslirp takes behind it. */
#define USER_FRAME_MAX 1518u

/* Whether a frame of @size bytes may make a socket of the host. */
bool user_frame_opens_socket(const uint8_t *frame, size_t size);
