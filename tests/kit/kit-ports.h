/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board whose guest has a console and two channels of virtio-serial open.  A test is
 * added with g_test_add(path, KitPorts, NULL, kit_ports_set_up, fn, kit_ports_tear_down).
 */
#pragma once

#include "kit-serial.h"

typedef struct KitPorts {
    KitBoard *kit;
    Device *dev;
    KitSerial *s;
    int console;                /* port 0; sockets of the host */
    int channel;                /* port 1 */
    int other;                  /* port 2 */
} KitPorts;

void kit_ports_set_up(KitPorts *f, gconstpointer unused);
void kit_ports_tear_down(KitPorts *f, gconstpointer unused);

/* What the host has got at @fd by now; the caller frees. */
char *kit_ports_receive(int fd);
void kit_ports_assert_received(int fd, const char *expected);
void kit_ports_send(int fd, const char *text);

/* Sends until the socket is full; returns how much went. */
size_t kit_ports_stuff(KitPorts *f, int fd);
/*
 * Output of 4 KiB each, every one of another letter (*@letter counts), until the device
 * takes no more; returns how many.
 */
unsigned kit_ports_flood(KitPorts *f, unsigned nr, unsigned *letter);
/* Whether @text is @n of them from the first on. */
void kit_ports_assert_letters(const char *text, unsigned n);
