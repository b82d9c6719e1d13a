/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of frames as tcpdump(1) and others read it (pcap, link type Ethernet), written
 * by a thread of its own from a bounded ring: who has a frame copies it and goes on,
 * however slow the file is.  What the ring has no room for is left out, counted, and told
 * once.
 */
#pragma once

#include "berth/net-dump.h"

typedef struct PcapWriter PcapWriter;

/* Main only. */

/*
 * Frames of which up to @maxlen bytes go to @fd; @name is for people.  NULL with @error
 * when there is no thread for it; @fd is taken also then.
 */
PcapWriter *pcap_new(const char *name, int fd, uint32_t maxlen, GError **error);
/*
 * Writes what is in the ring, and ends.  A file that takes nothing is given up after
 * PCAP_GRACE_NS; its thread, if it is in the kernel then, ends when it can.
 */
void pcap_close(PcapWriter *pcap);
#define PCAP_GRACE_NS (NS_PER_SEC / 2)

/* Any thread. */

/* A frame of @size bytes, of which the first @n are at @frame. */
void pcap_put(PcapWriter *pcap, const uint8_t *frame, uint32_t n, uint32_t size);
const NetDumpCounters *pcap_counted(const PcapWriter *pcap);
