/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is plugged into the keyboard controller: a keyboard and a mouse.  A device has
 * bytes for the controller, which takes them when it can, and is given bytes by it.  All
 * under the controller's lock.
 */
#pragma once

#include "berth/vmstate.h"

#define PS2_REPLY_SIZE 8u
#define PS2_QUEUE_SIZE 64u

enum {
    PS2_SCALE_1 = 0xe6,                 /* of mice */
    PS2_SCALE_2 = 0xe7,
    PS2_SET_RESOLUTION = 0xe8,
    PS2_STATUS = 0xe9,
    PS2_STREAM = 0xea,
    PS2_POLL = 0xeb,
    PS2_UNWRAP = 0xec,
    PS2_WRAP = 0xee,
    PS2_REMOTE = 0xf0,
    PS2_SET_LEDS = 0xed,                /* of keyboards */
    PS2_ECHO = 0xee,
    PS2_SCAN_CODES = 0xf0,
    PS2_ALL_TYPEMATIC = 0xf7,           /* to 0xfa: how keys report, in set 3 */
    PS2_ALL_BOTH = 0xfa,
    PS2_KEY_TYPEMATIC = 0xfb,           /* to 0xfd: the same of keys by their codes */
    PS2_KEY_MAKE = 0xfd,
    PS2_IDENTIFY = 0xf2,                /* of both */
    PS2_SET_RATE = 0xf3,
    PS2_ENABLE = 0xf4,
    PS2_DISABLE = 0xf5,
    PS2_DEFAULTS = 0xf6,
    PS2_RESEND = 0xfe,                  /* also what a device says to what is wrong */
    PS2_RESET = 0xff,
    PS2_ACK = 0xfa,                     /* of the device */
    PS2_TEST_PASSED = 0xaa,
};

/* The way to the controller: replies to commands, before what the device reports. */
typedef struct Ps2Port {
    uint8_t replies[PS2_REPLY_SIZE];
    uint8_t n_replies;
    uint8_t queue[PS2_QUEUE_SIZE];
    uint8_t n_queued;
    uint8_t last;                       /* that was taken */
} Ps2Port;

extern const VMStateDesc ps2_port_vmstate;

void ps2_port_reset(Ps2Port *port);
/* Puts what comes next, two bytes at most, into @bytes; returns how many. */
unsigned ps2_port_peek(const Ps2Port *port, uint8_t bytes[2]);
/* The first byte has gone. */
void ps2_port_take(Ps2Port *port);
/* A command has come: forgets the replies to others. */
void ps2_port_begin(Ps2Port *port);
void ps2_port_reply(Ps2Port *port, uint8_t byte);
/* Does as each device does on PS2_RESEND. */
void ps2_port_resend(Ps2Port *port);
/* All of the bytes or none: returns whether there was room. */
bool ps2_port_report(Ps2Port *port, const uint8_t *bytes, unsigned n);
/* Forgets what was reported. */
void ps2_port_flush(Ps2Port *port);

typedef struct Ps2Keyboard {
    Ps2Port port;
    uint8_t set;                        /* of scan codes: 1, 2, 3 */
    bool scanning;
    uint8_t command;                    /* that waits for its byte, 0 for none */
    uint8_t held;                       /* of the keys that change others */
} Ps2Keyboard;

extern const VMStateDesc ps2_keyboard_vmstate;

void ps2_keyboard_reset(Ps2Keyboard *keyboard);
void ps2_keyboard_write(Ps2Keyboard *keyboard, uint8_t byte);
/* @number as of i8042_key(). */
void ps2_keyboard_key(Ps2Keyboard *keyboard, uint8_t number, bool down);
/* What controllers that translate make of a byte of set 2: one of set 1. */
uint8_t ps2_keyboard_translate(uint8_t byte);

typedef struct Ps2Mouse {
    Ps2Port port;
    uint8_t id;                         /* 0, 3: with a wheel, 4: with two more buttons */
    uint8_t command;                    /* that waits for its byte, 0 for none */
    uint8_t recent[2];                  /* rates that were set, the last one second */
    uint8_t rate;
    uint8_t resolution;
    bool reporting;
    bool remote;
    bool double_scale;
    bool wrap;
    uint8_t buttons;                    /* that are held */
    uint8_t reported;                   /* of the last report */
    int64_t dx, dy, dz;                 /* that have not been reported */
} Ps2Mouse;

extern const VMStateDesc ps2_mouse_vmstate;

void ps2_mouse_reset(Ps2Mouse *mouse);
void ps2_mouse_write(Ps2Mouse *mouse, uint8_t byte);
/* To the right, down, and of the wheel towards the hand: counts, any values. */
void ps2_mouse_move(Ps2Mouse *mouse, int64_t dx, int64_t dy, int64_t dz);
/* @button is bits of I8042Button. */
void ps2_mouse_button(Ps2Mouse *mouse, uint8_t button, bool down);
/* Something was taken: there may be room for what has not been reported. */
void ps2_mouse_taken(Ps2Mouse *mouse);
