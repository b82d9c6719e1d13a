/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The telnet protocol (RFC 854), as a host speaks it to the terminal at the far end.
 */
#pragma once

#include "berth/base.h"

#define TELNET_IAC 0xff

/* What was received so far; zero at the start of a connection. */
typedef struct CharTelnet {
    uint8_t state;
    uint8_t verb;               /* WILL ... DONT, whose option comes next */
    bool after_cr;
    bool far_binary;            /* the far end sends bytes as they are */
} CharTelnet;

/*
 * What the host says first: it echoes, characters come one by one, and 8 bits each way.
 * The caller sends the @ret_size bytes.
 */
const uint8_t *char_telnet_greeting(size_t *ret_size);

/*
 * Takes commands out of the @size bytes at @data, up to a break, and moves the rest to
 * the beginning, *@ret_size bytes.  Returns how many bytes it has looked at: less than
 * @size when a break came, whose place is after those *@ret_size.
 */
size_t char_telnet_decode(CharTelnet *telnet, uint8_t *data, size_t size,
                          size_t *ret_size, bool *ret_break);
