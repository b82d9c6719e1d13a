/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzer for hosts without libFuzzer: runs the target on the files of the folders that
 * are given, then on changed copies of them until the time is over.  It takes libFuzzer's
 * option -max_total_time=SECONDS, and the same random numbers each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/base.h"

#include "fuzz.h"

#define INPUT_MAX 65536
#define CHANGES_MAX 8
#define SEED 1

typedef struct SeedLoop {
    GPtrArray *seeds;           /* of GBytes */
    GRand *rand;
    int64_t seconds;
    uint64_t runs;
} SeedLoop;

static void add_folder(SeedLoop *loop, const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        char *data;
        gsize size;

        if (g_file_get_contents(file, &data, &size, NULL))
            g_ptr_array_add(loop->seeds, g_bytes_new_take(data, size));
    }
}

/* One small change in place; returns the new size. */
static size_t change(GRand *rand, uint8_t *data, size_t size)
{
    static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff };
    size_t at = size ? g_rand_int(rand) % size : 0;

    switch (g_rand_int(rand) % 6) {
    case 0:
        return at;
    case 1:
        if (size < INPUT_MAX)
            data[size++] = (uint8_t)g_rand_int(rand);
        return size;
    case 2:
        if (size)
            data[at] ^= (uint8_t)(1u << g_rand_int(rand) % 8);
        return size;
    case 3:
        if (size)
            data[at] = (uint8_t)g_rand_int(rand);
        return size;
    case 4:
        if (size)
            data[at] = values[g_rand_int(rand) % sizeof values];
        return size;
    default:
        memset(data + at, g_rand_boolean(rand) ? 0xff : 0, MIN(8, size - at));
        return size;
    }
}

static void run(SeedLoop *loop, const uint8_t *data, size_t size)
{
    /* In a buffer of its own size, so that a read past the end is seen. */
    g_autofree uint8_t *copy = g_memdup2(data, size);

    LLVMFuzzerTestOneInput(copy, size);
    loop->runs++;
}

static void run_changed(SeedLoop *loop, GBytes *seed, uint8_t *buffer)
{
    unsigned n = 1 + g_rand_int(loop->rand) % CHANGES_MAX;
    size_t size;
    const void *data = g_bytes_get_data(seed, &size);

    size = MIN(size, INPUT_MAX);
    if (size)
        memcpy(buffer, data, size);
    while (n-- > 0)
        size = change(loop->rand, buffer, size);
    run(loop, buffer, size);
}

int main(int argc, char **argv)
{
    SeedLoop loop = {
        .seeds = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref),
        .rand = g_rand_new_with_seed(SEED),
    };
    g_autofree uint8_t *buffer = g_malloc(INPUT_MAX);
    int64_t end;

    g_ptr_array_add(loop.seeds, g_bytes_new("", 0));
    for (int i = 1; i < argc; i++) {
        if (g_str_has_prefix(argv[i], "-max_total_time="))
            loop.seconds = strtoll(strchr(argv[i], '=') + 1, NULL, 10);
        else if (argv[i][0] != '-')
            add_folder(&loop, argv[i]);
    }
    end = g_get_monotonic_time() + loop.seconds * G_USEC_PER_SEC;
    for (guint i = 0; i < loop.seeds->len; i++) {
        size_t size;
        const void *data = g_bytes_get_data(loop.seeds->pdata[i], &size);

        run(&loop, data, size);
    }
    while (g_get_monotonic_time() < end) {
        guint i = g_rand_int(loop.rand) % loop.seeds->len;

        run_changed(&loop, loop.seeds->pdata[i], buffer);
    }
    fprintf(stderr, "stat::number_of_executed_units: %" PRIu64 "\n", loop.runs);
    g_rand_free(loop.rand);
    g_ptr_array_free(loop.seeds, TRUE);
    return 0;
}
