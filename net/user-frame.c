/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which frames of a guest make sockets: those that begin a connection of TCP, and UDP and
 * echo requests, which have no beginning.  Only asked when there are too many sockets, so
 * it need not be exact about datagrams; connections that are there must go on.
 */
#include "berth/user-frame.h"

#define ETHERNET_SIZE 14u
#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define IPV6_SIZE 40u
#define PROTOCOL_ICMP 1u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u
#define TCP_FLAGS 13u
#define TCP_SYN 0x02u
#define TCP_ACK 0x10u
#define FRAGMENT_OFFSET 0x1fffu

static unsigned word_at(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

/* @size is what there is of the transport's header and behind it. */
static bool begins(unsigned protocol, const uint8_t *header, size_t size)
{
    if (protocol == PROTOCOL_UDP || protocol == PROTOCOL_ICMP)
        return true;
    return protocol == PROTOCOL_TCP && size > TCP_FLAGS &&
        (header[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static bool begins4(const uint8_t *packet, size_t size)
{
    size_t header = size > 0 ? (packet[0] & 0xfu) * 4u : 0;

    if (size < 20 || header < 20 || header > size)
        return false;
    /* Of a later fragment the header is elsewhere. */
    return (word_at(packet + 6) & FRAGMENT_OFFSET) ||
        begins(packet[9], packet + header, size - header);
}

bool user_frame_opens_socket(const uint8_t *frame, size_t size)
{
    const uint8_t *packet = frame + ETHERNET_SIZE;
    unsigned type;

    if (size < ETHERNET_SIZE)
        return false;
    type = word_at(frame + 12);
    size -= ETHERNET_SIZE;
    if (type == TYPE_IPV4)
        return begins4(packet, size);
    /* libslirp takes no extension headers. */
    return type == TYPE_IPV6 && size >= IPV6_SIZE &&
        begins(packet[6], packet + IPV6_SIZE, size - IPV6_SIZE);
}
