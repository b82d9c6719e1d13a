/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile rings on each queue of each controller of disks: that device needs a reset, and
 * works after it; another disk and the monitor go on meanwhile.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_scsi.h>
#include <string.h>

#include "kit-blk.h"
#include "kit-chains.h"
#include "kit-qmp.h"
#include "kit-scsi.h"

#define SIZE KIT_CHAINS_RING
#define REQUEST KIT_VIRTIO_DATA
#define ANSWER (KIT_VIRTIO_DATA + 0x1000)
#define MAX_QUEUES 4u
#define NOWHERE 0x20000000u
#define FREE_AREA 0x600000u

/* A controller, and what the driver asks on one of its queues. */
typedef struct Victim {
    const char *device;
    const char *disk;           /* on it; NULL for none */
    unsigned n_queues;
    /* Makes a request for queue @i; its bytes, those of the answer. */
    void (*make)(KitBoard *kit, unsigned i, uint32_t *ret_out, uint32_t *ret_in);
    unsigned events;            /* the queue that is used for events only; 0: none */
} Victim;

static void make_for_blk(KitBoard *kit, unsigned i, uint32_t *ret_out, uint32_t *ret_in)
{
    struct virtio_blk_outhdr *header = kit_ram(kit, REQUEST, sizeof(*header));

    *header = (struct virtio_blk_outhdr) { .type = GUINT32_TO_LE(VIRTIO_BLK_T_IN) };
    *ret_out = sizeof(*header);
    *ret_in = 512 + 1;
}

static void make_for_scsi(KitBoard *kit, unsigned i, uint32_t *ret_out, uint32_t *ret_in)
{
    struct virtio_scsi_ctrl_tmf_req *task = kit_ram(kit, REQUEST, sizeof(*task));
    struct virtio_scsi_cmd_req *command = kit_ram(kit, REQUEST, sizeof(*command));

    if (i == 0) {
        *task = (struct virtio_scsi_ctrl_tmf_req) {
            .subtype = GUINT32_TO_LE(VIRTIO_SCSI_T_TMF_QUERY_TASK_SET),
        };
        kit_scsi_address(task->lun, 0, 0);
        *ret_out = sizeof(*task);
        *ret_in = sizeof(struct virtio_scsi_ctrl_tmf_resp);
    } else {
        *command = (struct virtio_scsi_cmd_req) { .cdb = { 0x28, [8] = 1 } };
        kit_scsi_address(command->lun, 0, 0);
        *ret_out = sizeof(*command);
        *ret_in = sizeof(struct virtio_scsi_cmd_resp) + 512;
    }
}

static const Victim victims[] = {
    { "{'driver': 'virtio-blk-pci', 'id': 'victim', 'drive': 'bad', 'num-queues': 2}",
      NULL, 2, make_for_blk, 0 },
    { "{'driver': 'virtio-scsi-pci', 'id': 'victim', 'num_queues': 2}",
      "{'driver': 'scsi-hd', 'drive': 'bad', 'bus': 'victim.0', 'scsi-id': 0}", 4,
      make_for_scsi, 1 },
};

typedef struct Rig {
    const Victim *victim;
    KitBoard *kit;
    KitQmp *qmp;
    KitBlk *other;
    KitVirtio *v;
    KitQueue queues[MAX_QUEUES];
} Rig;

static void start(Rig *rig)
{
    kit_virtio_negotiate(rig->v, UINT64_MAX);
    for (unsigned i = 0; i < rig->victim->n_queues; i++)
        kit_queue_setup(&rig->queues[i], rig->v, i, SIZE);
}

static void go(Rig *rig)
{
    kit_virtio_set_status(rig->v, kit_virtio_status(rig->v) | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void rig_init(Rig *rig, const Victim *victim)
{
    *rig = (Rig) { .victim = victim, .kit = kit_board_new() };
    rig->qmp = kit_qmp_new(rig->kit);
    kit_add_node(rig->kit, "{'driver': 'inject', 'node-name': 'bad', 'file': "
                 "{'driver': 'null-co', 'size': 1048576}}");
    kit_add_node(rig->kit, "{'driver': 'null-co', 'node-name': 'good', 'size': 1048576, "
                 "'read-zeroes': true}");
    kit_add_node(rig->kit, "{'driver': 'null-co', 'node-name': 'more'}");
    kit_add(rig->kit, victim->device);
    if (victim->disk)
        kit_add(rig->kit, victim->disk);
    kit_add(rig->kit, "{'driver': 'virtio-blk-pci', 'id': 'other', 'drive': 'good'}");
    kit_start(rig->kit);
    rig->other = kit_blk_new(rig->kit, "other");
    rig->v = kit_virtio_new(rig->kit, device_find(&rig->kit->tree, "victim"));
    start(rig);
    go(rig);
}

static void rig_done(Rig *rig)
{
    g_free(rig->v);
    kit_blk_free(rig->other);
    kit_qmp_free(rig->qmp);
    kit_board_free(rig->kit);
}

static void offer(Rig *rig, unsigned i)
{
    KitQueue *q = &rig->queues[i];
    uint32_t out, in;

    rig->victim->make(rig->kit, i, &out, &in);
    kit_queue_desc(q, 0, REQUEST, out, VRING_DESC_F_NEXT, 1);
    kit_queue_desc(q, 1, ANSWER, in, VRING_DESC_F_WRITE, 0);
    kit_queue_offer(q, 0);
    kit_queue_kick(q);
}

static bool is_for_events(const Rig *rig, unsigned i)
{
    return rig->victim->events > 0 && i == rig->victim->events;
}

/* The doorbell of a queue of events is heard when there is one. */
static void kick(Rig *rig, unsigned i)
{
    kit_queue_kick(&rig->queues[i]);
    if (!is_for_events(rig, i))
        return;
    kit_add(rig->kit, "{'driver': 'scsi-hd', 'id': 'new', 'drive': 'more', "
            "'bus': 'victim.0', 'scsi-id': 1}");
    kit_run_both(rig->kit);
    device_remove(device_find(&rig->kit->tree, "new"));
    kit_run_both(rig->kit);
}

static bool is_broken(Rig *rig)
{
    return kit_virtio_status(rig->v) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void assert_others_go_on(Rig *rig)
{
    g_assert_cmphex(kit_blk_read(rig->other, 0, 512)[0], ==, 0);
    kit_blk_flush(rig->other);
    kit_qmp_do(rig->qmp, "query-block", NULL);
    kit_qmp_do(rig->qmp, "query-blockstats", NULL);
}

static void assert_serves(Rig *rig)
{
    for (unsigned i = 0; i < rig->victim->n_queues; i++) {
        int64_t end_ns = loop_clock_ns() + 20 * NS_PER_SEC;
        uint32_t head, len;

        if (is_for_events(rig, i))
            continue;
        offer(rig, i);
        while (!kit_queue_take(&rig->queues[i], &head, &len)) {
            g_assert_cmpint(loop_clock_ns(), <, end_ns);
            kit_run_both(rig->kit);
        }
        g_assert_cmpuint(head, ==, 0);
        g_assert_cmpuint(len, >, 0);
    }
    g_assert_false(is_broken(rig));
}

/* What was just done to queue @i has broken the device, and nothing else. */
static void check_broken(Rig *rig, unsigned i, const char *what)
{
    if (!is_broken(rig))
        g_error("%s, queue %u: %s", rig->victim->device, i, what);
    assert_others_go_on(rig);
    start(rig);
    go(rig);
    assert_serves(rig);
}

/* A1, A2, A4, A5, A6. */
static void test_chains(const void *victim)
{
    Rig rig;

    rig_init(&rig, victim);
    for (unsigned i = 0; i < rig.victim->n_queues; i++) {
        for (unsigned k = 0; k < kit_chains_n; k++) {
            const char *what = kit_chains_offer(&rig.queues[i], k);

            kick(&rig, i);
            check_broken(&rig, i, what);
        }
    }
    rig_done(&rig);
}

/* A2, A3. */
static void test_heads_and_indices(const void *victim)
{
    Rig rig;

    rig_init(&rig, victim);
    for (unsigned i = 0; i < rig.victim->n_queues; i++) {
        kit_queue_offer(&rig.queues[i], SIZE);
        kick(&rig, i);
        check_broken(&rig, i, "head out of range");
        kit_queue_offer(&rig.queues[i], 0xffff);
        kick(&rig, i);
        check_broken(&rig, i, "head 0xffff");
        rig.queues[i].avail[1] = rig.queues[i].next_avail + SIZE + 1;
        kick(&rig, i);
        check_broken(&rig, i, "index that jumps");
        rig.queues[i].avail[1] = rig.queues[i].next_avail - 1;
        kick(&rig, i);
        check_broken(&rig, i, "index that goes back");
    }
    rig_done(&rig);
}

/* A2: nothing comes of them. */
static void test_doorbells_of_queues_that_are_not_there(const void *victim)
{
    Rig rig;

    rig_init(&rig, victim);
    for (unsigned i = 0; i < 4096; i += i < 64 ? 1 : 61)
        kit_write(rig.kit, rig.v->notify + i, i % 2 ? 1 : 2, 0xffff - i);
    kit_run_both(rig.kit);
    assert_serves(&rig);
    assert_others_go_on(&rig);
    rig_done(&rig);
}

/* A3: who never takes what was used gets no more of it than he asked for. */
static void test_used_entries_that_are_never_taken(const void *victim)
{
    Rig rig;

    rig_init(&rig, victim);
    for (unsigned i = 0; i < rig.victim->n_queues; i++) {
        if (is_for_events(&rig, i))
            continue;
        for (unsigned n = 1; n <= 5 * SIZE; n++) {
            offer(&rig, i);
            while (rig.queues[i].used[1] != n)
                kit_run_both(rig.kit);
        }
        rig.queues[i].next_used = 5 * SIZE;
    }
    assert_serves(&rig);
    rig_done(&rig);
}

static void set_rules(Rig *rig, const char *rules)
{
    kit_qmp_do(rig->qmp, "x-block-inject-set", "{'node-name': 'bad', 'rules': %s}",
               rules);
}

/* A3, A10: and its reset waits for the request, while nobody else does. */
static void test_head_that_is_in_use(const void *victim)
{
    Rig rig;

    rig_init(&rig, victim);
    for (unsigned i = 0; i < rig.victim->n_queues; i++) {
        if (is_for_events(&rig, i) || (rig.victim->disk && i == 0))
            continue;
        assert_serves(&rig);
        set_rules(&rig, "[{'delay-ns': 18446744073709551615}]");
        offer(&rig, i);
        g_assert_false(is_broken(&rig));
        kit_queue_offer(&rig.queues[i], 0);
        kick(&rig, i);
        g_assert_true(is_broken(&rig));
        assert_others_go_on(&rig);

        kit_virtio_set_status(rig.v, 0);
        g_assert_cmpuint(kit_virtio_status(rig.v), !=, 0);
        assert_others_go_on(&rig);
        set_rules(&rig, "[]");
        while (kit_virtio_status(rig.v) != 0)
            kit_run_both(rig.kit);
        start(&rig);
        go(&rig);
        assert_serves(&rig);
    }
    rig_done(&rig);
}

/* Queue @i with its areas at free places, but for that of register @reg. */
static void enable_at(Rig *rig, unsigned i, unsigned reg, uint32_t gpa)
{
    KitVirtio *v = rig->v;

    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_DESCLO, 4, FREE_AREA);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, FREE_AREA + 0x1000);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_USEDLO, 4, FREE_AREA + 0x2000);
    kit_virtio_set(v, reg, 4, gpa);
    kit_virtio_set(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

/* A7, A8: the others of the device are as they should be. */
static void test_rings_that_cannot_be(const void *victim)
{
    static const struct {
        const char *what;
        unsigned reg;
        uint32_t gpa;
    } cases[] = {
        { "descriptors nowhere", VIRTIO_PCI_COMMON_Q_DESCLO, NOWHERE },
        { "available nowhere", VIRTIO_PCI_COMMON_Q_AVAILLO, NOWHERE },
        { "used nowhere", VIRTIO_PCI_COMMON_Q_USEDLO, NOWHERE },
        { "descriptors beyond the end", VIRTIO_PCI_COMMON_Q_DESCLO, KIT_RAM_SIZE - 16 },
        { "used beyond the end", VIRTIO_PCI_COMMON_Q_USEDLO, KIT_RAM_SIZE - 4 },
        { "used in registers", VIRTIO_PCI_COMMON_Q_USEDLO, KIT_ECAM_BASE },
        { "descriptors not aligned", VIRTIO_PCI_COMMON_Q_DESCLO, FREE_AREA + 8 },
        { "available not aligned", VIRTIO_PCI_COMMON_Q_AVAILLO, FREE_AREA + 0x1001 },
        { "used not aligned", VIRTIO_PCI_COMMON_Q_USEDLO, FREE_AREA + 0x2002 },
    };
    Rig rig;

    rig_init(&rig, victim);
    for (unsigned n = 0; n < rig.victim->n_queues * G_N_ELEMENTS(cases); n++) {
        unsigned at = n / G_N_ELEMENTS(cases), k = n % G_N_ELEMENTS(cases);

        kit_virtio_negotiate(rig.v, UINT64_MAX);
        for (unsigned i = 0; i < rig.victim->n_queues; i++) {
            if (i == at)
                enable_at(&rig, i, cases[k].reg, cases[k].gpa);
            else
                kit_queue_setup(&rig.queues[i], rig.v, i, SIZE);
        }
        go(&rig);
        check_broken(&rig, at, cases[k].what);
    }
    rig_done(&rig);
}

/* A9: they stay as they are, and the queue goes on. */
static void test_registers_of_queues_that_are_enabled(const void *victim)
{
    static const unsigned regs[] = {
        VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_DESCHI,
        VIRTIO_PCI_COMMON_Q_AVAILLO, VIRTIO_PCI_COMMON_Q_USEDLO,
        VIRTIO_PCI_COMMON_Q_USEDHI,
    };
    Rig rig;

    rig_init(&rig, victim);
    for (unsigned i = 0; i < rig.victim->n_queues; i++) {
        kit_virtio_set(rig.v, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
        for (size_t k = 0; k < G_N_ELEMENTS(regs); k++)
            kit_virtio_set(rig.v, regs[k], 4, NOWHERE);
        kit_virtio_set(rig.v, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
        kit_virtio_set(rig.v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
    }
    assert_serves(&rig);
    assert_others_go_on(&rig);
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        GTestDataFunc fn;
    } tests[] = {
        { "chains", test_chains },
        { "heads-and-indices", test_heads_and_indices },
        { "doorbells-of-queues-that-are-not-there",
          test_doorbells_of_queues_that_are_not_there },
        { "used-entries-that-are-never-taken", test_used_entries_that_are_never_taken },
        { "head-that-is-in-use", test_head_that_is_in_use },
        { "rings-that-cannot-be", test_rings_that_cannot_be },
        { "registers-of-queues-that-are-enabled",
          test_registers_of_queues_that_are_enabled },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        for (size_t k = 0; k < G_N_ELEMENTS(victims); k++) {
            g_autofree char *path = g_strdup_printf("/disk-rings/%s/%s", tests[i].name,
                                                    k == 0 ? "blk" : "scsi");

            g_test_add_data_func(path, &victims[k], tests[i].fn);
        }
    }
    return g_test_run();
}
