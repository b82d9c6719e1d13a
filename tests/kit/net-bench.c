/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network backends as a device would use them.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "berth/qapi-option.h"

#include "net-bench.h"

#define WAIT_MS 1000

NetBench *net_bench_new(void)
{
    NetBench *bench = g_new0(NetBench, 1);

    thread_set_role(THREAD_MAIN);
    bench->loop = loop_new("main", THREAD_MAIN, NULL);
    bench->set = net_set_new(bench->loop);
    net_set_allow_programs(bench->set, true);
    return bench;
}

void net_bench_free(NetBench *bench)
{
    if (!bench)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(bench->nics); i++)
        net_nic_detach(&bench->nics[i]);
    net_set_free(bench->set);
    loop_free(bench->loop);
    g_free(bench);
}

bool net_bench_try_add(NetBench *bench, const char *text, GError **error)
{
    const CmdlineOption *option = qapi_option_find("-netdev");
    g_autoptr(JsonValue) pairs = NULL;
    g_autoptr(Netdev) netdev = NULL;
    bool help = false;

    pairs = qapi_option_read(option, text, &help, error);
    netdev = pairs ? qapi_parse(option->type, pairs, QAPI_INPUT_TEXT, error) : NULL;
    return netdev && net_set_add(bench->set, netdev, error);
}

void net_bench_add(NetBench *bench, const char *text)
{
    g_autoptr(GError) error = NULL;
    bool is_added = net_bench_try_add(bench, text, &error);

    g_assert_no_error(error);
    g_assert_true(is_added);
}

void net_bench_assert_refused(NetBench *bench, const char *text, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(net_bench_try_add(bench, text, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, words))
        g_error("%s: '%s' is not in: %s", text, words, error->message);
}

static void on_link(NetNic *nic)
{
}

NetBackend *net_bench_attach(NetBench *bench, unsigned n, const char *id)
{
    NetNic *nic = &bench->nics[n];
    g_autoptr(GError) error = NULL;

    nic->name = n ? "nic1" : "nic0";
    nic->link_changed = on_link;
    net_nic_attach(bench->set, nic, id, NULL, &error);
    g_assert_no_error(error);
    return nic->backend;
}

int net_bench_send(NetQueue *queue, const void *frame, size_t size)
{
    uint8_t header[NET_HEADER_SIZE] = { 0 };
    struct iovec iov[] = {
        { header, sizeof(header) }, { (void *)(uintptr_t)frame, size },
    };

    return net_queue_send(queue, iov, G_N_ELEMENTS(iov));
}

ssize_t net_bench_receive(NetQueue *queue, void *frame, size_t size)
{
    uint8_t header[NET_HEADER_SIZE];
    struct iovec iov[] = { { header, sizeof(header) }, { frame, size } };
    struct pollfd fd = { .fd = queue->fd, .events = POLLIN };
    ssize_t n;

    poll(&fd, 1, WAIT_MS);
    n = net_queue_receive(queue, iov, G_N_ELEMENTS(iov));
    return n < 0 ? n : n - (ssize_t)sizeof(header);
}
