/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest on a user network.
 */
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "user-guest.h"

#define WAIT_NS (20 * NS_PER_SEC)
#define NETWORK 0x0a000200u     /* 10.0.2.0 */
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define DHCP_CLIENT 68
#define DHCP_SERVER 67
#define DHCP_OPTIONS 240u       /* behind the fixed part and its magic number */
#define DHCP_MAGIC 0x63825363u
#define MSS 1460u

typedef struct Arp {
    uint16_t hardware;
    uint16_t protocol;
    uint8_t sizes[2];
    uint16_t operation;
    uint8_t sender_mac[6];
    uint32_t sender;
    uint8_t target_mac[6];
    uint32_t target;
} __attribute__((packed)) Arp;

static const uint8_t guest_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

void user_guest_init(UserGuest *guest, NetBench *bench, const char *id)
{
    guest->bench = bench;
    guest->queue = net_backend_queue(net_bench_attach(bench, 0, id), 0);
    guest->address = NETWORK + 15;
    guest->peer = NETWORK + 2;
}

bool user_guest_poll(UserGuest *guest)
{
    uint8_t header[NET_HEADER_SIZE];
    struct iovec iov[] = {
        { header, sizeof(header) }, { guest->frame, sizeof(guest->frame) },
    };
    ssize_t got = net_queue_receive(guest->queue, iov, G_N_ELEMENTS(iov));

    if (got < 0) {
        g_assert_cmpint(got, ==, -EAGAIN);
        loop_turn(guest->bench->loop, false);
        return false;
    }
    guest->size = (size_t)got - NET_HEADER_SIZE;
    return true;
}

bool user_guest_wait(UserGuest *guest)
{
    int64_t end_ns = loop_clock_ns() + WAIT_NS;

    while (!user_guest_poll(guest)) {
        if (loop_clock_ns() > end_ns)
            return false;
    }
    return true;
}

void user_guest_send(UserGuest *guest, uint16_t type, const void *data, size_t size)
{
    uint8_t frame[USER_GUEST_FRAME] = { 0x52, 0x55, 10, 0, 2, 2 };
    int sent;

    g_assert_cmpuint(size, <=, sizeof(frame) - ETH_HLEN);
    memcpy(frame + 6, guest_mac, sizeof(guest_mac));
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
    memcpy(frame + ETH_HLEN, data, size);
    do {
        sent = net_bench_send(guest->queue, frame, ETH_HLEN + size);
        loop_turn(guest->bench->loop, false);
    } while (sent == -EAGAIN);
    g_assert_cmpint(sent, ==, 0);
}

static uint32_t add_words(uint32_t sum, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    return sum;
}

/* As in a header, for memory in the network's order. */
static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

void user_guest_send_ip(UserGuest *guest, uint32_t to, uint8_t protocol, const void *data,
                        size_t size)
{
    uint8_t packet[USER_GUEST_FRAME];
    struct iphdr header = {
        .version = 4, .ihl = 5, .tot_len = htons((uint16_t)(sizeof(header) + size)),
        .ttl = 64, .protocol = protocol, .saddr = htonl(guest->address),
        .daddr = htonl(to),
    };

    header.check = fold(add_words(0, &header, sizeof(header)));
    memcpy(packet, &header, sizeof(header));
    memcpy(packet + sizeof(header), data, size);
    user_guest_send(guest, ETHERTYPE_IP, packet, sizeof(header) + size);
}

void user_guest_send_udp(UserGuest *guest, uint32_t to, uint16_t from_port, uint16_t port,
                         const void *data, size_t size)
{
    uint8_t packet[USER_GUEST_FRAME];
    struct udphdr header = {
        .source = htons(from_port), .dest = htons(port),
        .len = htons((uint16_t)(sizeof(header) + size)),
    };

    memcpy(packet, &header, sizeof(header));
    memcpy(packet + sizeof(header), data, size);
    user_guest_send_ip(guest, to, IPPROTO_UDP, packet, sizeof(header) + size);
}

static void send_arp(UserGuest *guest, uint16_t operation, uint32_t target)
{
    Arp arp = {
        .hardware = htons(1), .protocol = htons(ETHERTYPE_IP), .sizes = { 6, 4 },
        .operation = htons(operation), .sender = htonl(guest->address),
        .target = htonl(target),
    };

    memcpy(arp.sender_mac, guest_mac, sizeof(guest_mac));
    user_guest_send(guest, ETHERTYPE_ARP, &arp, sizeof(arp));
}

static unsigned frame_type(const UserGuest *guest)
{
    return (unsigned)guest->frame[12] << 8 | guest->frame[13];
}

/* The frame that has come, if it is one of ARP. */
static bool is_arp(const UserGuest *guest, Arp *ret_arp)
{
    if (guest->size < ETH_HLEN + sizeof(Arp) || frame_type(guest) != ETHERTYPE_ARP)
        return false;
    memcpy(ret_arp, guest->frame + ETH_HLEN, sizeof(Arp));
    return true;
}

bool user_guest_asks_arp(UserGuest *guest, uint32_t about)
{
    Arp arp;

    send_arp(guest, ARP_REQUEST, about);
    while (user_guest_wait(guest)) {
        if (is_arp(guest, &arp) && arp.operation == htons(ARP_REPLY) &&
            arp.sender == htonl(about))
            return true;
    }
    return false;
}

/* What is behind the header of a packet that has come; NULL: it is another. */
static const uint8_t *packet_of(const UserGuest *guest, uint8_t protocol,
                                size_t *ret_size)
{
    const uint8_t *packet = guest->frame + ETH_HLEN;
    struct iphdr header;
    size_t total;

    if (guest->size < ETH_HLEN + sizeof(header) || frame_type(guest) != ETHERTYPE_IP)
        return NULL;
    memcpy(&header, packet, sizeof(header));
    total = ntohs(header.tot_len);
    g_assert_cmpuint(total, <=, guest->size - ETH_HLEN);
    if (header.protocol != protocol)
        return NULL;
    *ret_size = total - header.ihl * 4u;
    return packet + header.ihl * 4u;
}

static void answer_arp(UserGuest *guest)
{
    Arp arp;

    if (is_arp(guest, &arp) && arp.operation == htons(ARP_REQUEST) &&
        arp.target == htonl(guest->address))
        send_arp(guest, ARP_REPLY, ntohl(arp.sender));
}

const uint8_t *user_guest_wait_ip(UserGuest *guest, uint8_t protocol, size_t *ret_size)
{
    while (user_guest_wait(guest)) {
        const uint8_t *data = packet_of(guest, protocol, ret_size);

        if (data)
            return data;
        answer_arp(guest);
    }
    return NULL;
}

const uint8_t *user_guest_wait_udp(UserGuest *guest, uint16_t port, size_t *ret_size)
{
    struct udphdr header;

    for (;;) {
        const uint8_t *data = user_guest_wait_ip(guest, IPPROTO_UDP, ret_size);

        if (!data)
            return NULL;
        memcpy(&header, data, sizeof(header));
        if (ntohs(header.dest) == port) {
            *ret_size -= sizeof(header);
            return data + sizeof(header);
        }
    }
}

const uint8_t *user_guest_dhcp(UserGuest *guest, uint8_t kind, uint32_t *ret_address,
                               size_t *ret_size)
{
    uint8_t message[DHCP_OPTIONS + 10] = { 1, 1, 6, 0, 1, 2, 3, 4 };
    const uint32_t magic = htonl(DHCP_MAGIC);
    const uint32_t address = htonl(guest->address);
    uint32_t before = guest->address;
    uint8_t *options = message + DHCP_OPTIONS;
    const uint8_t *answer;
    uint32_t given;

    memcpy(message + 28, guest_mac, sizeof(guest_mac));
    memcpy(message + DHCP_OPTIONS - sizeof(magic), &magic, sizeof(magic));
    options[0] = 53;
    options[1] = 1;
    options[2] = kind;
    options[3] = 50;
    options[4] = 4;
    memcpy(options + 5, &address, sizeof(address));
    options[9] = 255;
    guest->address = 0;
    user_guest_send_udp(guest, 0xffffffff, DHCP_CLIENT, DHCP_SERVER, message,
                        sizeof(message));
    guest->address = before;
    answer = user_guest_wait_udp(guest, DHCP_CLIENT, ret_size);
    if (!answer || *ret_size < DHCP_OPTIONS)
        return NULL;
    memcpy(&given, answer + 16, sizeof(given));
    *ret_address = ntohl(given);
    *ret_size -= DHCP_OPTIONS;
    return answer + DHCP_OPTIONS;
}

const uint8_t *user_guest_dhcp_option(const uint8_t *options, size_t size, uint8_t code,
                                      uint8_t *ret_size)
{
    size_t at = 0;

    while (at + 2 <= size && options[at] != 255) {
        size_t length = options[at + 1];

        g_assert_cmpuint(at + 2 + length, <=, size);
        if (options[at] == code) {
            *ret_size = (uint8_t)length;
            return options + at + 2;
        }
        at += 2 + length;
    }
    return NULL;
}

void user_guest_tcp_send(UserGuestTcp *tcp, uint8_t flags, const void *data, size_t size)
{
    uint8_t packet[USER_GUEST_FRAME];
    struct tcphdr header = {
        .th_sport = htons(tcp->port), .th_dport = htons(tcp->peer_port),
        .th_seq = htonl(tcp->sent), .th_ack = htonl(tcp->received), .th_off = 5,
        .th_flags = flags, .th_win = htons(UINT16_MAX),
    };
    const uint32_t pseudo[] = {
        htonl(tcp->guest->address), htonl(tcp->peer),
        htonl(IPPROTO_TCP << 16 | (uint32_t)(sizeof(header) + size)),
    };
    uint32_t sum;

    sum = add_words(0, pseudo, sizeof(pseudo));
    sum = add_words(sum, &header, sizeof(header));
    header.th_sum = fold(add_words(sum, data, size));
    memcpy(packet, &header, sizeof(header));
    if (size > 0)
        memcpy(packet + sizeof(header), data, size);
    tcp->sent += (uint32_t)size + !!(flags & (TH_SYN | TH_FIN));
    user_guest_send_ip(tcp->guest, tcp->peer, IPPROTO_TCP, packet, sizeof(header) + size);
}

static bool is_of(const UserGuestTcp *tcp, const struct tcphdr *header)
{
    return ntohs(header->dest) == tcp->port &&
        (!tcp->peer_port || ntohs(header->source) == tcp->peer_port);
}

/*
 * The next segment of one of @n connections, *@ret_index; its data, NULL: there is none
 * in time.
 */
static const uint8_t *wait_segment(const UserGuestTcp *tcps, unsigned n,
                                   unsigned *ret_index, struct tcphdr *ret_header,
                                   size_t *ret_size)
{
    for (;;) {
        const uint8_t *data = user_guest_wait_ip(tcps->guest, IPPROTO_TCP, ret_size);
        size_t header;

        if (!data)
            return NULL;
        memcpy(ret_header, data, sizeof(*ret_header));
        header = ret_header->doff * 4u;
        *ret_size -= header;
        for (*ret_index = 0; *ret_index < n; ++*ret_index) {
            if (is_of(&tcps[*ret_index], ret_header))
                return data + header;
        }
    }
}

bool user_guest_connect(UserGuestTcp *tcp, UserGuest *guest, uint32_t peer, uint16_t from,
                        uint16_t port)
{
    struct tcphdr header;
    unsigned index;
    size_t size;

    *tcp = (UserGuestTcp) {
        .guest = guest, .peer = peer, .port = from, .peer_port = port, .sent = 1000,
    };
    user_guest_tcp_send(tcp, TH_SYN, NULL, 0);
    if (!wait_segment(tcp, 1, &index, &header, &size) ||
        (header.th_flags & (TH_SYN | TH_ACK | TH_RST)) != (TH_SYN | TH_ACK))
        return false;
    tcp->received = ntohl(header.seq) + 1;
    user_guest_tcp_send(tcp, TH_ACK, NULL, 0);
    return true;
}

void user_guest_accept(UserGuestTcp *tcp, UserGuest *guest, uint16_t port)
{
    struct iphdr ip;
    struct tcphdr header;
    unsigned index;
    size_t size;

    *tcp = (UserGuestTcp) { .guest = guest, .port = port, .sent = 5000 };
    do {
        g_assert_nonnull(wait_segment(tcp, 1, &index, &header, &size));
    } while ((header.th_flags & (TH_SYN | TH_ACK)) != TH_SYN);
    memcpy(&ip, guest->frame + ETH_HLEN, sizeof(ip));
    tcp->peer = ntohl(ip.saddr);
    tcp->peer_port = ntohs(header.source);
    tcp->received = ntohl(header.seq) + 1;
    user_guest_tcp_send(tcp, TH_SYN | TH_ACK, NULL, 0);
}

/* The bytes of a segment that are new, acknowledged; 0: none are. */
static size_t take_segment(UserGuestTcp *tcp, const struct tcphdr *header, size_t size)
{
    bool is_end = header->th_flags & TH_FIN;

    if (header->th_flags & TH_RST) {
        tcp->was_reset = true;
        return 0;
    }
    if (size == 0 && !is_end)
        return 0;
    if (ntohl(header->seq) != tcp->received) {
        /* It was lost, or comes again. */
        user_guest_tcp_send(tcp, TH_ACK, NULL, 0);
        return 0;
    }
    g_assert_cmpuint(size, <=, MSS);
    tcp->has_ended = is_end;
    tcp->received += (uint32_t)size + is_end;
    user_guest_tcp_send(tcp, TH_ACK, NULL, 0);
    return size;
}

size_t user_guest_tcp_receive_of(UserGuestTcp *tcps, unsigned n, unsigned *ret_index,
                                 const uint8_t **ret_data)
{
    struct tcphdr header;
    size_t size;

    do {
        *ret_data = wait_segment(tcps, n, ret_index, &header, &size);
        g_assert_nonnull(*ret_data);
        size = take_segment(&tcps[*ret_index], &header, size);
    } while (size == 0 && !tcps[*ret_index].has_ended && !tcps[*ret_index].was_reset);
    return size;
}

size_t user_guest_tcp_receive(UserGuestTcp *tcp, const uint8_t **ret_data)
{
    unsigned index;

    return tcp->has_ended || tcp->was_reset
        ? 0 : user_guest_tcp_receive_of(tcp, 1, &index, ret_data);
}
