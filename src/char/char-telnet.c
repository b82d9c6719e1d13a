/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The telnet protocol (RFC 854, 856, 857, 858), as far as a terminal needs it.
 *
 *     DATA --IAC--> IAC --WILL, WONT, DO, DONT--> OPTION --any--> DATA
 *                    |--SB--> SB --IAC--> SB_IAC --SE--> DATA
 *                    '--any other--> DATA                (BREAK is told, IAC is a byte)
 *
 * The host says at once what it wants and needs no answer.  What the far end asks for
 * beyond that gets none either, which refuses it and cannot be used to make the host
 * talk.  Until the far end has agreed to send binary, its Enter is CR NUL.
 */
#include "char-telnet.h"

enum { STATE_DATA, STATE_IAC, STATE_OPTION, STATE_SB, STATE_SB_IAC };

enum {
    TELNET_SE = 240, TELNET_BREAK = 243, TELNET_SB = 250, TELNET_WILL = 251,
    TELNET_WONT = 252, TELNET_DO = 253, TELNET_DONT = 254,
};

enum { OPTION_BINARY = 0, OPTION_ECHO = 1, OPTION_NO_GO_AHEAD = 3 };

static const uint8_t greeting[] = {
    TELNET_IAC, TELNET_WILL, OPTION_ECHO,
    TELNET_IAC, TELNET_WILL, OPTION_NO_GO_AHEAD,
    TELNET_IAC, TELNET_WILL, OPTION_BINARY,
    TELNET_IAC, TELNET_DO, OPTION_BINARY,
};

const uint8_t *char_telnet_greeting(size_t *ret_size)
{
    *ret_size = sizeof(greeting);
    return greeting;
}

static void take_option(CharTelnet *telnet, uint8_t option)
{
    if (option != OPTION_BINARY)
        return;
    if (telnet->verb == TELNET_WILL)
        telnet->far_binary = true;
    else if (telnet->verb == TELNET_WONT)
        telnet->far_binary = false;
}

/* The byte after IAC; returns whether it is data. */
static bool take_command(CharTelnet *telnet, uint8_t byte, bool *ret_break)
{
    telnet->state = STATE_DATA;
    if (byte >= TELNET_WILL && byte <= TELNET_DONT) {
        telnet->state = STATE_OPTION;
        telnet->verb = byte;
    } else if (byte == TELNET_SB) {
        telnet->state = STATE_SB;
    } else if (byte == TELNET_BREAK) {
        *ret_break = true;
    }
    return byte == TELNET_IAC;
}

static bool is_data(CharTelnet *telnet, uint8_t byte)
{
    bool pads_cr = telnet->after_cr && byte == '\0';

    telnet->after_cr = byte == '\r' && !telnet->far_binary;
    return !pads_cr;
}

/* Returns whether @byte is one for the user. */
static bool take_byte(CharTelnet *telnet, uint8_t byte, bool *ret_break)
{
    switch (telnet->state) {
    case STATE_IAC:
        return take_command(telnet, byte, ret_break) && is_data(telnet, byte);
    case STATE_OPTION:
        take_option(telnet, byte);
        telnet->state = STATE_DATA;
        return false;
    case STATE_SB:
        if (byte == TELNET_IAC)
            telnet->state = STATE_SB_IAC;
        return false;
    case STATE_SB_IAC:
        telnet->state = byte == TELNET_SE ? STATE_DATA : STATE_SB;
        return false;
    }
    if (byte == TELNET_IAC)
        telnet->state = STATE_IAC;
    return byte != TELNET_IAC && is_data(telnet, byte);
}

size_t char_telnet_decode(CharTelnet *telnet, uint8_t *data, size_t size,
                          size_t *ret_size, bool *ret_break)
{
    size_t at = 0, kept = 0;

    *ret_break = false;
    while (at < size && !*ret_break) {
        uint8_t byte = data[at++];

        if (take_byte(telnet, byte, ret_break))
            data[kept++] = byte;
    }
    *ret_size = kept;
    return at;
}
