/* SPDX-License-Identifier: Apache-2.0 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/error.h"

#include "kit-image.h"
#include "sanitized.h"

/* What qemu-img says is the same with a sanitizer, and takes most of the time. */
#define JUDGED_EVERY (SANITIZED ? 8u : 1u)

bool kit_image_has_tools(void)
{
    g_autofree char *path = g_find_program_in_path("qemu-img");

    if (!path)
        g_test_skip("no qemu-img here");
    return path != NULL;
}

void kit_image_init(KitImage *kit)
{
    char *folder = g_dir_make_tmp("berth-image-XXXXXX", NULL);

    g_assert_nonnull(folder);
    *kit = (KitImage) { .folder = folder };
    kit->loop = loop_new("main", THREAD_MAIN, NULL);
    kit->graph = block_graph_new(kit->loop);
}

void kit_image_done(KitImage *kit)
{
    g_autoptr(GDir) dir = NULL;
    const char *name;

    block_graph_free(kit->graph);
    loop_free(kit->loop);
    dir = g_dir_open(kit->folder, 0, NULL);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = kit_image_path(kit, name);

        g_unlink(path);
    }
    g_assert_cmpint(g_rmdir(kit->folder), ==, 0);
    g_free(kit->folder);
}

char *kit_image_path(const KitImage *kit, const char *name)
{
    return g_build_filename(kit->folder, name, NULL);
}

static int run(const KitImage *kit, char **ret_output, const char *line)
{
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    int status;

    g_shell_parse_argv(line, NULL, &argv, &error);
    g_assert_no_error(error);
    g_spawn_sync(kit->folder, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err,
                 &status, &error);
    g_assert_no_error(error);
    if (ret_output)
        *ret_output = g_strconcat(out, err, NULL);
    return status;
}

int kit_image_run(const KitImage *kit, char **ret_output, const char *format, ...)
{
    g_autofree char *line = NULL;
    va_list args;

    va_start(args, format);
    line = g_strdup_vprintf(format, args);
    va_end(args);
    return run(kit, ret_output, line);
}

void kit_image_do(const KitImage *kit, const char *format, ...)
{
    g_autofree char *line = NULL;
    g_autofree char *output = NULL;
    va_list args;

    va_start(args, format);
    line = g_strdup_vprintf(format, args);
    va_end(args);
    if (run(kit, &output, line) != 0)
        g_error("%s: %s", line, output);
}

static BlockNode *add(KitImage *kit, const char *json, GError **error)
{
    g_autoptr(BlockdevOptions) options = NULL;

    options = qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, json, error);
    return options ? block_graph_add(kit->graph, options, error) : NULL;
}

BlockNode *kit_image_try_open(KitImage *kit, GError **error, const char *format, ...)
{
    g_autofree char *json = NULL;
    va_list args;

    va_start(args, format);
    json = g_strdup_vprintf(format, args);
    va_end(args);
    return add(kit, json, error);
}

BlockNode *kit_image_open(KitImage *kit, const char *format, ...)
{
    g_autofree char *json = NULL;
    g_autoptr(GError) error = NULL;
    BlockNode *node;
    va_list args;

    va_start(args, format);
    json = g_strdup_vprintf(format, args);
    va_end(args);
    node = add(kit, json, &error);
    if (!node)
        g_error("%s: %s", json, error->message);
    return node;
}

void kit_image_close(KitImage *kit)
{
    block_graph_free(kit->graph);
    kit->graph = block_graph_new(kit->loop);
}

void kit_image_write_file(const KitImage *kit, const char *name, const void *data,
                          size_t size)
{
    g_autofree char *path = kit_image_path(kit, name);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, data, (gssize)size, &error);
    g_assert_no_error(error);
}

static bool is_judged(void)
{
    static unsigned n;

    return n++ % JUDGED_EVERY == 0;
}

static void assert_check(const KitImage *kit, const char *name, bool may_leak)
{
    g_autofree char *output = NULL;
    int status;

    if (!is_judged())
        return;
    status = kit_image_run(kit, &output, "qemu-img check -f qcow2 %s", name);
    if (status != 0 && (!may_leak || status != 3 << 8))
        g_error("%s: %s", name, output);
}

void kit_image_assert_clean(const KitImage *kit, const char *name)
{
    assert_check(kit, name, false);
}

void kit_image_assert_sound(const KitImage *kit, const char *name)
{
    assert_check(kit, name, true);
}

void kit_image_assert_holds(const KitImage *kit, const char *name, const uint8_t *data,
                            size_t size)
{
    g_autofree char *path = kit_image_path(kit, "read.raw");
    g_autofree char *read = NULL;
    g_autoptr(GError) error = NULL;
    gsize n;

    if (!is_judged())
        return;
    kit_image_do(kit, "qemu-img convert -t unsafe -f qcow2 -O raw %s read.raw", name);
    g_file_get_contents(path, &read, &n, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n, ==, size);
    for (size_t i = 0; i < size; i += 512) {
        if (memcmp(read + i, data + i, 512) != 0)
            g_error("%s: sector %#zx is not as it was written", name, i);
    }
    g_unlink(path);
}

void kit_image_fill(GRand *rand, uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t word = (uint64_t)g_rand_int(rand) << 32 | i;

        memcpy(data + i, &word, sizeof(word));
    }
}
