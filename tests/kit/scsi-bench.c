/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/error.h"
#include "berth/inject.h"

#include "scsi-bench.h"

void scsi_bench_add_disk(KitBoard *kit, const char *id, const char *props)
{
    g_autofree char *node =
        g_strdup_printf("{'driver': 'null-co', 'node-name': 'n-%s', 'size': 1048576, "
                        "'read-zeroes': true}", id);
    g_autofree char *device =
        g_strdup_printf("{'driver': 'scsi-hd', 'id': '%s', 'drive': 'n-%s'%s}", id, id,
                        props);

    kit_add_node(kit, node);
    kit_add(kit, device);
}

void scsi_bench_init_on(ScsiBench *f, KitBoard *kit, const char *hba, const char *disk)
{
    g_autofree char *controller =
        g_strdup_printf("{'driver': 'virtio-scsi-pci', 'id': 'hba'%s}", hba);
    g_autofree char *device =
        g_strdup_printf("{'driver': 'scsi-hd', 'id': 'hd', 'drive': 'n'%s}", disk);

    *f = (ScsiBench) { .kit = kit };
    kit_add_node(kit, "{'driver': 'null-co', 'node-name': 'below', 'size': 1048576, "
                 "'read-zeroes': true}");
    f->inject = kit_add_node(kit, "{'driver': 'inject', 'node-name': 'n', "
                             "'file': 'below'}");
    kit_add(kit, controller);
    kit_add(kit, device);
    kit_start(kit);
    f->scsi = kit_scsi_new(kit, "hba");
    kit_scsi_clear(f->scsi, 0, 0);
}

void scsi_bench_init(ScsiBench *f, const char *hba, const char *disk)
{
    scsi_bench_init_on(f, kit_board_new(), hba, disk);
}

void scsi_bench_done(ScsiBench *f)
{
    kit_scsi_free(f->scsi);
    kit_board_free(f->kit);
}

void scsi_bench_set_rules(ScsiBench *f, const char *json)
{
    g_autofree char *text = g_strconcat("{'node-name': 'n', 'rules': ", json, "}", NULL);
    g_autoptr(XBlockInjectSetArgs) args = NULL;
    GError *error = NULL;

    args = qapi_parse_json(QAPI_TYPE_X_BLOCK_INJECT_SET_ARGS, text, &error);
    g_assert_no_error(error);
    inject_set_rules(f->inject, args->rules, &error);
    g_assert_no_error(error);
}

/* Requests for data do not end until rules are set again. */
void scsi_bench_hang(ScsiBench *f)
{
    scsi_bench_set_rules(f, "[{'ops': ['read', 'write'], "
                         "'delay-ns': 18446744073709551615}]");
}

void scsi_bench_submit_read(ScsiBench *f, unsigned slot, uint64_t tag)
{
    const KitScsiCommand command = {
        .cdb = { 0x28, [8] = 1 }, .in_size = 512, .tag = tag,
        .queue = slot % f->scsi->n_queues,
    };

    kit_scsi_submit(f->scsi, slot, &command);
}

void scsi_bench_expect(ScsiBench *f, unsigned n, uint8_t response)
{
    for (unsigned i = 0; i < n; i++) {
        KitScsiResult result;

        kit_scsi_wait(f->scsi, &result);
        g_assert_cmpuint(result.response, ==, response);
    }
}

static void submit_write(ScsiBench *f, unsigned slot)
{
    const KitScsiCommand command = {
        .cdb = { 0x2a, [5] = (uint8_t)slot, [8] = 1 }, .out_size = 512, .tag = slot,
        .queue = slot % f->scsi->n_queues,
    };

    kit_scsi_submit(f->scsi, slot, &command);
}

/* Makes slots 0 to 3 wait for the machine to be stopped and to go on. */
void scsi_bench_make_held(ScsiBench *f)
{
    KitScsiResult result;
    unsigned slot;

    scsi_bench_set_rules(f, "[{'ops': ['write'], 'errno': 'ENOSPC', 'times': 4}]");
    for (unsigned i = 0; i < 4; i++)
        submit_write(f, i);
    kit_run_both(f->kit);
    g_assert_cmpuint(f->kit->n_io_errors, ==, 4);
    g_assert_cmpint(f->kit->io_error, ==, BLOCK_ERROR_ACTION_STOP);
    g_assert_false(kit_scsi_take(f->scsi, &slot, &result));
}

/* Stops and goes on, with the state saved and loaded between when @loads. */
void scsi_bench_stop_and_go_on(ScsiBench *f, bool loads)
{
    DeviceTree *tree = &f->kit->tree;

    device_tree_pause(tree);
    g_assert_true(device_tree_is_quiet(tree));
    if (loads) {
        g_autoptr(GByteArray) state = kit_save(f->kit);
        g_autoptr(GByteArray) again = NULL;
        g_autoptr(GError) error = NULL;

        device_tree_load(tree, state->data, state->len, &error);
        g_assert_no_error(error);
        again = kit_save(f->kit);
        g_assert_cmpmem(state->data, state->len, again->data, again->len);
    }
    device_tree_resume(tree);
    kit_run_both(f->kit);
}
