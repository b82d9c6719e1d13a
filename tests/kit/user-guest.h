/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest on a user network, by its frames: Ethernet, ARP, IPv4, ICMP, UDP, and so much
 * of TCP as a test needs.  Sending and receiving run the loop of main.
 */
#pragma once

#include "net-bench.h"

#include <netinet/in.h>

#define USER_GUEST_FRAME 2048u

typedef struct UserGuest {
    NetBench *bench;
    NetQueue *queue;
    uint32_t address;           /* in the order of this host, as all here */
    uint32_t peer;              /* the host's */
    uint8_t frame[USER_GUEST_FRAME];    /* the last that came */
    size_t size;
} UserGuest;

/* A connection of the guest's. */
typedef struct UserGuestTcp {
    UserGuest *guest;
    uint32_t peer;
    uint16_t port;
    uint16_t peer_port;
    uint32_t sent;              /* sequence number of the next byte */
    uint32_t received;          /* and of the next that comes */
    bool has_ended;             /* the far end sends no more */
    bool was_reset;
} UserGuestTcp;

/* NIC 0 of the bench takes backend @id; 10.0.2.15 at the start, the host 10.0.2.2. */
void user_guest_init(UserGuest *guest, NetBench *bench, const char *id);

/* Runs the loop until a frame comes, for up to 20 s; false when none does. */
bool user_guest_wait(UserGuest *guest);
/* The same without waiting. */
bool user_guest_poll(UserGuest *guest);
/* A frame from the guest, behind an Ethernet header of @type. */
void user_guest_send(UserGuest *guest, uint16_t type, const void *data, size_t size);
void user_guest_send_ip(UserGuest *guest, uint32_t to, uint8_t protocol, const void *data,
                        size_t size);
void user_guest_send_udp(UserGuest *guest, uint32_t to, uint16_t from_port, uint16_t port,
                         const void *data, size_t size);

/* Answers to ARP's questions, and learns nothing. */
bool user_guest_asks_arp(UserGuest *guest, uint32_t about);
/* Waits for an IPv4 packet of @protocol; what is behind its header, @ret_size bytes. */
const uint8_t *user_guest_wait_ip(UserGuest *guest, uint8_t protocol, size_t *ret_size);
/* Waits for a datagram to @port; its data. */
const uint8_t *user_guest_wait_udp(UserGuest *guest, uint16_t port, size_t *ret_size);

/*
 * Asks for an address: @kind is that of the message (1: discover, 3: request).  The
 * options of the answer, in the guest's frame; its address is in *@ret_address.
 */
const uint8_t *user_guest_dhcp(UserGuest *guest, uint8_t kind, uint32_t *ret_address,
                               size_t *ret_size);
/* Option @code of those; NULL: it is not there. */
const uint8_t *user_guest_dhcp_option(const uint8_t *options, size_t size, uint8_t code,
                                      uint8_t *ret_size);

/* A segment of the connection: flags of TCP's header. */
void user_guest_tcp_send(UserGuestTcp *tcp, uint8_t flags, const void *data, size_t size);
/* Begins a connection; false when it is refused or nobody answers. */
bool user_guest_connect(UserGuestTcp *tcp, UserGuest *guest, uint32_t peer, uint16_t from,
                        uint16_t port);
/* Waits for a connection to @port of the guest, and takes it. */
void user_guest_accept(UserGuestTcp *tcp, UserGuest *guest, uint16_t port);
/*
 * Waits for the next bytes in order, which are acknowledged; 0: the far end has ended.
 * They are in the guest's frame.
 */
size_t user_guest_tcp_receive(UserGuestTcp *tcp, const uint8_t **ret_data);
/* The same of whichever of @n connections of a guest, *@ret_index, has some first. */
size_t user_guest_tcp_receive_of(UserGuestTcp *tcps, unsigned n, unsigned *ret_index,
                                 const uint8_t **ret_data);
