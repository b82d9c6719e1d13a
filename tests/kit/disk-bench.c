/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "disk-bench.h"

void disk_bench_init(DiskBench *f, bool is_threaded)
{
    *f = (DiskBench) { 0 };
    kit_image_init(&f->image);
    f->path = kit_image_path(&f->image, "file");
    f->kit = is_threaded ? kit_board_new_threaded() : kit_board_new();
    f->qmp = kit_qmp_new(f->kit);
}

void disk_bench_init_with_file(DiskBench *f, bool is_threaded)
{
    disk_bench_init(f, is_threaded);
    kit_image_write_file(&f->image, "file", "", 0);
    g_assert_cmpint(truncate(f->path, DISK_BENCH_SIZE), ==, 0);
}

void disk_bench_done(DiskBench *f)
{
    block_graph_let_go(f->kit->blocks);
    if (f->blk)
        kit_blk_free(f->blk);
    kit_qmp_free(f->qmp);
    kit_board_free(f->kit);
    kit_image_done(&f->image);
    g_free(f->path);
}

void disk_bench_start(DiskBench *f, const char *node, const char *props)
{
    g_autofree char *device = g_strdup_printf(
        "{'driver': 'virtio-blk-pci', 'id': 'disk', 'drive': '%s'%s}", node, props);

    kit_add(f->kit, device);
    kit_start(f->kit);
    f->blk = kit_blk_new(f->kit, "disk");
}

void disk_bench_set_up(DiskBench *f, const void *threaded)
{
    disk_bench_init(f, threaded != NULL);
}

void disk_bench_set_up_with_file(DiskBench *f, const void *threaded)
{
    disk_bench_init_with_file(f, threaded != NULL);
}

void disk_bench_tear_down(DiskBench *f, const void *unused)
{
    disk_bench_done(f);
}
