/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what clients of berth-metrics send, in any pieces, with clients that read
 * or not, half close and go at any place, also while the ledger is made.  What a client
 * gets are whole answers, not more than it has ended lines, and nothing behind one that
 * says that it is the last.  Whatever they do, another one is answered.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/object.h"
#include "berth/qapi-tables.h"
#include "berth/thread.h"
#include "qmp-commands.h"

#include "fuzz.h"
#include "hmp-bench.h"

/* Fewer than there may be at a time, so that the last one is not turned away. */
#define N_CLIENTS 7
#define MAX_ACTS 200
#define SERVICE_NS (10 * NS_PER_SEC)

typedef struct Client {
    int fd;                     /* -1: there is none */
    bool is_cut;                /* nothing comes any more */
    unsigned n_lines;           /* that it has ended */
    GString *got;
} Client;

static struct {
    HmpBench bench;
    char path[64];
    QmpReply *ledger;           /* under way, or NULL */
    Client clients[N_CLIENTS];
} subject;

static void start(unsigned command, QmpContext *ctx, const void *args, QmpReply *reply)
{
    GError *error = NULL;

    if (command == QMP_COMMAND_X_QUERY_MEMORY_LEDGER && !subject.ledger) {
        subject.ledger = reply;
        return;
    }
    error_set(&error, "one at a time");
    qmp_reply_fail(reply, error);
}

static void end_ledger(bool fails)
{
    GError *error = NULL;
    MemoryLedger *ledger;

    if (!subject.ledger)
        return;
    if (fails) {
        error_set(&error, "there is none");
        qmp_reply_fail(g_steal_pointer(&subject.ledger), error);
        return;
    }
    ledger = g_new0(MemoryLedger, 1);
    ledger->entries = g_new0(MemoryLedgerEntryList, 1);
    ledger->heap = g_new0(MemoryLedgerHeapList, 1);
    qmp_reply_return(g_steal_pointer(&subject.ledger), ledger);
}

static void make_subject(void)
{
    static const char *const words[] = {
        "-nodefaults", "-S", "-m", "16", "-device", "virtio-balloon-pci", "-drive",
        "if=virtio,driver=null-co,id=d,size=1M", NULL,
    };

    thread_set_role(THREAD_MAIN);
    log_set_fd(-1);
    hmp_bench_init(&subject.bench, words);
    subject.bench.ctx.start = start;
    object_set_lend_context(subject.bench.machine->objects, &subject.bench.ctx);
    snprintf(subject.path, sizeof(subject.path), "%s/berth-fuzz-http-%d",
             g_get_tmp_dir(), (int)getpid());
    for (int i = 0; i < N_CLIENTS; i++)
        subject.clients[i].fd = -1;
}

static void turn(void)
{
    loop_turn(subject.bench.loop, false);
}

static void add_object(void)
{
    ObjectOptions options = {
        .id = "m", .qom_type = OBJECT_TYPE_BERTH_METRICS,
        .u.berth_metrics.path = subject.path,
    };
    g_autoptr(GError) error = NULL;

    object_add(subject.bench.machine->objects, &options, &error);
    g_assert_no_error(error);
}

static void connect_client(Client *client)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    g_strlcpy(address.sun_path, subject.path, sizeof(address.sun_path));
    *client = (Client) { .got = g_string_new(NULL) };
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(client->fd, (struct sockaddr *)&address, sizeof(address)),
                    ==, 0);
}

static void send_bytes(Client *client, const void *data, size_t size)
{
    ssize_t n = send(client->fd, data, size, MSG_NOSIGNAL);

    for (ssize_t i = 0; i < n; i++)
        client->n_lines += ((const char *)data)[i] == '\n';
}

static void receive(Client *client, size_t most)
{
    static char data[65536];
    ssize_t n = recv(client->fd, data, MIN(most, sizeof(data)), 0);

    if (n > 0)
        g_string_append_len(client->got, data, n);
    else if (n == 0 || errno != EAGAIN)
        client->is_cut = true;
}

/* The size of the answer at @text; the last one when its connection was cut off in it. */
static size_t check_answer(const char *text, size_t size, bool is_cut, bool *ret_is_last)
{
    const char *body = g_strstr_len(text, (gssize)size, "\r\n\r\n");
    const char *field;
    size_t length;

    *ret_is_last = true;
    g_assert_cmpint(strncmp(text, "HTTP/1.1 ", MIN(size, 9)), ==, 0);
    if (!body) {
        g_assert_true(is_cut);
        return size;
    }
    body += 4;
    field = g_strstr_len(text, body - text, "\r\nContent-Length: ");
    g_assert_nonnull(field);
    length = g_ascii_strtoull(field + strlen("\r\nContent-Length: "), NULL, 10);
    *ret_is_last = g_strstr_len(text, body - text, "\r\nConnection: close\r\n");
    /* HEAD has no body: what is behind it then is another answer, or nothing. */
    size -= (size_t)(body - text);
    if (size == 0 || (size >= 9 && strncmp(body, "HTTP/1.1 ", 9) == 0))
        return (size_t)(body - text);
    if (size < length)
        g_assert_true(is_cut);
    return (size_t)(body - text) + MIN(size, length);
}

static void check_answers(const Client *client)
{
    unsigned n = 0;
    bool is_last = false;

    for (size_t at = 0; at < client->got->len; n++) {
        g_assert_false(is_last);
        at += check_answer(client->got->str + at, client->got->len - at, client->is_cut,
                           &is_last);
    }
    /* One that is refused needs no end: then it is the last. */
    g_assert_cmpuint(n, <=, client->n_lines + 1);
}

/* All that is to be had now. */
static void drain(Client *client)
{
    size_t had;

    do {
        had = client->got->len;
        turn();
        receive(client, SIZE_MAX);
    } while (!client->is_cut && client->got->len > had);
}

static void disconnect(Client *client)
{
    if (client->fd < 0)
        return;
    base_close_fd(&client->fd);
    g_string_free(client->got, true);
}

static void act_of_bytes(Client *client, FuzzInput *in)
{
    size_t wanted = fuzz_take(in, 1), size = MIN(wanted, in->size);

    send_bytes(client, in->data, size);
    in->data += size;
    in->size -= size;
}

static void act_of_words(Client *client, FuzzInput *in)
{
    static const char *const words[] = {
        "GET /metrics HTTP/1.1\r\n", "GET /metrics HTTP/1.1\r\n\r\n", "\r\n",
        "GET /ledger HTTP/1.1\r\n\r\n", "HEAD /ledger HTTP/1.1\r\n\r\n",
        "GET /x HTTP/1.1\r\n\r\n", "GET /metrics HTTP/1.0\r\n\r\n", "\n\n",
        "Connection: close\r\n", "Content-Length: 0\r\n", "Content-Length: 5\r\n",
        "HEAD /metrics?a=b HTTP/1.1\r\n", "X: ",
        "Accept: ", "text/plain;version=0.0.4;q=0.5", "application/openmetrics-text",
        ",*/*;q=0.1\r\n",
    };
    const char *word = words[fuzz_take(in, 1) % G_N_ELEMENTS(words)];

    send_bytes(client, word, strlen(word));
}

static void act_of_filling(Client *client, FuzzInput *in)
{
    static char filling[16384];
    size_t size = fuzz_take(in, 2) % sizeof(filling);

    memset(filling, (int)fuzz_take(in, 1), size);
    send_bytes(client, filling, size);
}

static void act_of_life(Client *client, FuzzInput *in)
{
    switch (fuzz_take(in, 1) % 4) {
    case 0:
        shutdown(client->fd, SHUT_WR);
        break;
    case 1:
        disconnect(client);
        break;
    default:
        end_ledger(fuzz_take(in, 1) & 1);
        break;
    }
}

static void act(FuzzInput *in)
{
    uint8_t what = (uint8_t)fuzz_take(in, 1);
    Client *client = &subject.clients[(what >> 3) % N_CLIENTS];

    if (client->fd < 0)
        connect_client(client);
    switch (what % 8) {
    case 0:
    case 1:
        act_of_bytes(client, in);
        break;
    case 2:
        act_of_words(client, in);
        break;
    case 3:
        act_of_filling(client, in);
        break;
    case 4:
        receive(client, fuzz_take(in, 2));
        break;
    case 5:
        act_of_life(client, in);
        break;
    default:
        turn();
        break;
    }
}

/* Whether a client is answered that asks for nothing that is limited. */
static bool is_served(void)
{
    Client client;
    bool is_there;

    connect_client(&client);
    send_bytes(&client, "GET / HTTP/1.1\r\n\r\n", strlen("GET / HTTP/1.1\r\n\r\n"));
    /* Its coming, its request, the end of who gives way to it. */
    for (int i = 0; i < 4 && client.got->len == 0; i++)
        drain(&client);
    is_there = g_str_has_prefix(client.got->str, "HTTP/1.1 404 Not Found\r\n");
    disconnect(&client);
    return is_there;
}

/*
 * It is turned away while all places are held by some who wait for their turn: it comes
 * by the clock, also for those who have gone meanwhile.
 */
static void check_service(void)
{
    int64_t end_ns = loop_clock_ns() + SERVICE_NS;

    while (!is_served()) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        g_usleep(500);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzInput in = { data, size };

    if (!subject.bench.loop)
        make_subject();
    add_object();
    for (int i = 0; i < MAX_ACTS && in.size > 0; i++)
        act(&in);
    check_service();
    end_ledger(false);
    for (int i = 0; i < N_CLIENTS; i++) {
        if (subject.clients[i].fd < 0)
            continue;
        drain(&subject.clients[i]);
        check_answers(&subject.clients[i]);
        disconnect(&subject.clients[i]);
    }
    object_del(subject.bench.machine->objects, "m", NULL);
    turn();
    return 0;
}
