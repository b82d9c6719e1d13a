/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what is typed at the monitor for people, on a machine of the fake
 * hypervisor.  The first byte says which of the two is tested:
 *
 *     keys    every key edits; a line is entered as one that no command has the name of
 *     lines   plain text; commands are executed, but those that write files
 *
 * The session always comes back to its prompt, and says nothing that is not text.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/log-options.h"
#include "berth/log.h"
#include "berth/qapi-tables.h"
#include "berth/thread.h"
#include "qmp-commands.h"

#include "fuzz.h"
#include "hmp-bench.h"

/* Some show as much as they may. */
#define N_LINES 16

/* Whatever stands there: not full, and with a name that is none. */
#define SPOIL "\005\005\b\b\001zz"

static HmpBench bench;

/* Commands that look and those of chardevs; the others have no machine to work on. */
static bool call(unsigned command, QmpContext *ctx, const void *args, void **ret_value,
                 GError **error)
{
    if (qmp_commands[command].returns || command == QMP_COMMAND_GETFD ||
        command == QMP_COMMAND_CLOSEFD || command == QMP_COMMAND_RINGBUF_WRITE ||
        command == QMP_COMMAND_CHARDEV_SEND_BREAK || command == QMP_COMMAND_SYSTEM_RESET)
        return qmp_commands_call(command, ctx, args, ret_value, error);
    *ret_value = NULL;
    error_set(error, "command %u is not for this test", command);
    return false;
}

static void start(unsigned command, QmpContext *ctx, const void *args, QmpReply *reply)
{
    GError *error = NULL;

    error_set(&error, "command %u is not for this test", command);
    qmp_reply_fail(reply, error);
}

static void make_bench(void)
{
    static const char *const words[] = {
        "-nodefaults", "-S", "-m", "16", "-smp", "2", "-object", "iothread,id=io0",
        "-chardev", "ringbuf,id=rb", "-device", "pcie-root-port,id=rp0,chassis=1",
        "-device", "virtio-rng-pci,bus=rp0,id=rng0", NULL,
    };

    thread_set_role(THREAD_MAIN);
    log_set_level(LOG_LEVEL_ERROR);
    hmp_bench_init(&bench, words);
    bench.ctx.call = call;
    bench.ctx.start = start;
}

static void feed(const char *keys, size_t size)
{
    g_autoptr(GString) out = g_string_new(NULL);

    hmp_bench_feed(&bench, keys, size, out);
    g_assert_null(memchr(out->str, '\0', out->len));
}

static void test_keys(const char *keys, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (keys[i] == '\n' || keys[i] == '\r')
            feed(SPOIL "\n", strlen(SPOIL "\n"));
        else
            feed(keys + i, 1);
    }
}

static bool writes_file(const char *line)
{
    return g_str_has_prefix(line, "logfile");
}

static void test_line(const char *data, size_t size)
{
    g_autofree char *line = g_strndup(data, size);

    for (char *at = line; *at; at++) {
        if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
            *at = ' ';
    }
    g_strstrip(line);
    if (writes_file(line))
        return;
    feed(line, strlen(line));
    feed("\n", 1);
}

static void test_lines(const char *data, size_t size)
{
    for (int i = 0; i < N_LINES && size > 0; i++) {
        const char *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size;

        test_line(data, n);
        n += end != NULL;
        data += n;
        size -= n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *said = NULL;

    if (!bench.session)
        make_bench();
    if (size == 0)
        return 0;
    if (data[0] == 'k')
        test_keys((const char *)data + 1, size - 1);
    else
        test_lines((const char *)data + 1, size - 1);
    log_options_set_items("none", NULL);
    hmp_bench_restart(&bench);
    said = hmp_bench_ask(&bench, "print 5");
    g_assert_cmpstr(said, ==, "0x5\n");
    return 0;
}
