/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/fw-cfg.h"

#include "fake-board.h"

#define SELECTOR 0x510
#define DATA 0x511
#define DMA_HIGH 0x514
#define DMA_LOW 0x518
#define FILE_DIR 0x19
#define DESCRIPTOR 0x1000u
#define BUFFER 0x2000u
#define DMA_ERROR 0x01u
#define DMA_READ 0x02u
#define DMA_SKIP 0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE 0x10u
#define UNTOUCHED 0xaa

typedef struct Fixture {
    FakeBoard *board;
    FwCfg *fw_cfg;
    uint8_t writable[16];
    unsigned n_written;
} Fixture;

static void on_written(void *opaque)
{
    Fixture *f = opaque;

    f->n_written++;
}

static GBytes *text_bytes(const char *text)
{
    return g_bytes_new_static(text, strlen(text));
}

static void fixture_init(Fixture *f)
{
    FwCfgWritable writable = {
        .name = "etc/writable", .data = f->writable, .size = sizeof(f->writable),
        .written = on_written, .opaque = f,
    };

    memset(f, 0, sizeof(*f));
    f->board = fake_board_new();
    f->fw_cfg = fw_cfg_add(&f->board->tree, NULL);
    g_assert_true(fw_cfg_add_file(f->fw_cfg, "opt/zebra", text_bytes("stripes"), NULL));
    g_assert_true(fw_cfg_add_file(f->fw_cfg, "etc/ant", text_bytes("legs"), NULL));
    g_assert_true(fw_cfg_add_writable_file(f->fw_cfg, &writable, NULL));
    fw_cfg_add_number(f->fw_cfg, FW_CFG_N_CPUS, 3, 2);
    device_tree_reset(&f->board->tree);
    device_tree_resume(&f->board->tree);
    memset(f->board->ram->host, UNTOUCHED, FAKE_BOARD_RAM);
}

static void fixture_done(Fixture *f)
{
    fake_board_free(f->board);
}

static uint8_t *ram(Fixture *f, uint32_t gpa)
{
    return f->board->ram->host + gpa;
}

static void read_item(Fixture *f, uint16_t key, void *data, size_t size)
{
    uint8_t *bytes = data;

    fake_board_out(f->board, SELECTOR, 2, key);
    for (size_t i = 0; i < size; i++)
        bytes[i] = fake_board_in(f->board, DATA, 1);
}

/* Runs a descriptor and returns what it leaves in control. */
static uint32_t run_dma(Fixture *f, uint32_t control, uint32_t length, uint64_t gpa)
{
    uint32_t control_be = GUINT32_TO_BE(control), length_be = GUINT32_TO_BE(length);
    uint64_t gpa_be = GUINT64_TO_BE(gpa);

    memcpy(ram(f, DESCRIPTOR), &control_be, 4);
    memcpy(ram(f, DESCRIPTOR + 4), &length_be, 4);
    memcpy(ram(f, DESCRIPTOR + 8), &gpa_be, 8);
    fake_board_out(f->board, DMA_HIGH, 4, 0);
    fake_board_out(f->board, DMA_LOW, 4, GUINT32_SWAP_LE_BE(DESCRIPTOR));
    memcpy(&control_be, ram(f, DESCRIPTOR), 4);
    return GUINT32_FROM_BE(control_be);
}

/* The same after a selection of @key. */
static uint32_t run_on(Fixture *f, uint16_t key, uint32_t control, uint32_t length,
                       uint64_t gpa)
{
    return run_dma(f, (uint32_t)key << 16 | DMA_SELECT | control, length, gpa);
}

static void test_signature_and_id(void)
{
    uint8_t bytes[6];
    Fixture f;

    fixture_init(&f);
    read_item(&f, 0x00, bytes, 6);
    g_assert_cmpmem(bytes, 6, "QEMU\0\0", 6);
    read_item(&f, 0x01, bytes, 4);
    g_assert_cmpmem(bytes, 4, "\3\0\0\0", 4);
    read_item(&f, FW_CFG_N_CPUS, bytes, 4);
    g_assert_cmpmem(bytes, 4, "\3\0\0\0", 4);
    read_item(&f, 0x7777, bytes, 2);
    g_assert_cmpmem(bytes, 2, "\0\0", 2);
    g_assert_cmphex(fake_board_in(f.board, DMA_HIGH, 4), ==, 0x554d4551);
    g_assert_cmphex(fake_board_in(f.board, DMA_LOW, 4), ==, 0x47464320);
    fixture_done(&f);
}

static void test_directory_is_sorted_by_name(void)
{
    uint8_t dir[4 + 3 * 64];
    Fixture f;

    fixture_init(&f);
    read_item(&f, FILE_DIR, dir, sizeof(dir));

    g_assert_cmpmem(dir, 4, "\0\0\0\3", 4);
    g_assert_cmpmem(dir + 4, 8, "\0\0\0\4\0\x20\0\0", 8);
    g_assert_cmpstr((char *)dir + 12, ==, "etc/ant");
    g_assert_cmpmem(dir + 68, 8, "\0\0\0\x10\0\x21\0\0", 8);
    g_assert_cmpstr((char *)dir + 76, ==, "etc/writable");
    g_assert_cmpmem(dir + 132, 8, "\0\0\0\7\0\x22\0\0", 8);
    g_assert_cmpstr((char *)dir + 140, ==, "opt/zebra");
    fixture_done(&f);
}

static void test_data_port_ends_in_zeros(void)
{
    uint8_t bytes[10];
    Fixture f;

    fixture_init(&f);
    read_item(&f, 0x22, bytes, sizeof(bytes));

    g_assert_cmpmem(bytes, sizeof(bytes), "stripes\0\0\0", sizeof(bytes));
    fixture_done(&f);
}

static void test_dma_reads_an_item_in_parts(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(run_on(&f, 0x22, DMA_READ, 3, BUFFER), ==, 0);
    g_assert_cmpmem(ram(&f, BUFFER), 4, "str\xaa", 4);
    g_assert_cmphex(run_dma(&f, DMA_SKIP, 2, 0), ==, 0);
    g_assert_cmphex(run_dma(&f, DMA_READ, 4, BUFFER + 3), ==, 0);

    g_assert_cmpmem(ram(&f, BUFFER), 8, "stres\0\0\xaa", 8);
    fixture_done(&f);
}

static void test_dma_crosses_pages(void)
{
    g_autofree uint8_t *big = g_malloc(10000);
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 10000; i++)
        big[i] = i * 7;
    fw_cfg_add_bytes(f.fw_cfg, 0x8003, g_bytes_new_static(big, 10000));
    g_assert_cmphex(run_on(&f, 0x8003, DMA_READ, 10000, BUFFER + 4001), ==, 0);

    g_assert_cmpmem(ram(&f, BUFFER + 4001), 10000, big, 10000);
    g_assert_cmphex(*ram(&f, BUFFER + 14001), ==, UNTOUCHED);
    fixture_done(&f);
}

static void test_dma_writes_only_what_is_writable(void)
{
    Fixture f;

    fixture_init(&f);
    memcpy(ram(&f, BUFFER), "0123456789abcdefg", 17);
    g_assert_cmphex(run_on(&f, 0x22, DMA_WRITE, 1, BUFFER), ==, DMA_ERROR);
    g_assert_cmphex(run_on(&f, 0x21, DMA_WRITE, 17, BUFFER), ==, DMA_ERROR);
    g_assert_cmpuint(f.n_written, ==, 0);
    g_assert_cmphex(run_on(&f, 0x21, DMA_WRITE, 16, BUFFER), ==, 0);
    g_assert_cmphex(run_dma(&f, DMA_WRITE, 1, BUFFER), ==, DMA_ERROR);

    g_assert_cmpuint(f.n_written, ==, 1);
    g_assert_cmpmem(f.writable, 16, "0123456789abcdef", 16);
    fixture_done(&f);
}

static void test_dma_outside_ram_is_an_error(void)
{
    static const uint64_t places[] = {
        FAKE_BOARD_RAM, FAKE_BOARD_RAM - 3, 0xfee00000, 1ull << 40, UINT64_MAX - 2,
    };
    Fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_assert_cmphex(run_on(&f, 0x22, DMA_READ, 7, places[i]), ==, DMA_ERROR);
        g_assert_cmphex(run_on(&f, 0x21, DMA_WRITE, 7, places[i]), ==, DMA_ERROR);
    }
    fixture_done(&f);
}

static void test_dma_longer_than_the_item_is_bounded(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(run_on(&f, 0x22, DMA_READ, 7 + 65536, BUFFER), ==, 0);
    g_assert_cmphex(*ram(&f, BUFFER + 6 + 65536), ==, 0);
    g_assert_cmphex(*ram(&f, BUFFER + 7 + 65536), ==, UNTOUCHED);
    g_assert_cmphex(run_on(&f, 0x22, DMA_READ, 8 + 65536, BUFFER), ==, DMA_ERROR);
    g_assert_cmphex(run_on(&f, 0x22, DMA_READ, UINT32_MAX, BUFFER), ==, DMA_ERROR);
    g_assert_cmphex(run_on(&f, 0x22, DMA_SKIP, UINT32_MAX, 0), ==, 0);
    g_assert_cmphex(run_dma(&f, DMA_READ, 1, BUFFER), ==, 0);
    g_assert_cmphex(*ram(&f, BUFFER), ==, 0);
    fixture_done(&f);
}

/* No sum of lengths comes back to the item. */
static void test_offsets_do_not_wrap(void)
{
    Fixture f;

    fixture_init(&f);
    memset(ram(&f, BUFFER), 'w', 4);
    g_assert_cmphex(run_on(&f, 0x21, DMA_SKIP, UINT32_MAX, 0), ==, 0);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmphex(run_dma(&f, DMA_WRITE, 4, BUFFER), ==, DMA_ERROR);
        g_assert_cmphex(run_dma(&f, DMA_SKIP, i ? UINT32_MAX : 5, 0), ==, 0);
    }
    g_assert_cmpuint(f.n_written, ==, 0);
    g_assert_cmphex(run_dma(&f, DMA_READ, 4, BUFFER), ==, 0);
    g_assert_cmpmem(ram(&f, BUFFER), 4, "\0\0\0\0", 4);
    g_assert_cmphex(fake_board_in(f.board, DATA, 1), ==, 0);
    /* Items that there are not. */
    for (unsigned key = 0x23; key < 0x4000; key += 0x11) {
        g_assert_cmphex(run_on(&f, (uint16_t)key, DMA_READ, 4, BUFFER), ==, 0);
        g_assert_cmpmem(ram(&f, BUFFER), 4, "\0\0\0\0", 4);
    }
    fixture_done(&f);
}

static void test_descriptor_may_overlap_its_own_transfer(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(run_on(&f, 0x22, DMA_READ, 7, DESCRIPTOR + 1), ==, 0);

    g_assert_cmpmem(ram(&f, DESCRIPTOR + 4), 4, "ipes", 4);
    fixture_done(&f);
}

static void test_descriptor_outside_ram_is_ignored(void)
{
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 100; i++) {
        fake_board_out(f.board, DMA_HIGH, 4, 0xffffffff);
        fake_board_out(f.board, DMA_LOW, 4, GUINT32_SWAP_LE_BE(0xfffffff8));
        fake_board_out(f.board, DMA_LOW, 4, GUINT32_SWAP_LE_BE(FAKE_BOARD_RAM - 15));
    }

    g_assert_cmphex(*ram(&f, FAKE_BOARD_RAM - 1), ==, UNTOUCHED);
    fixture_done(&f);
}

static void test_names_are_checked(void)
{
    g_autofree char *longest = g_strnfill(FW_CFG_NAME_MAX, 'a');
    g_autofree char *longer = g_strnfill(FW_CFG_NAME_MAX + 1, 'a');
    Fixture f;

    fixture_init(&f);
    g_assert_true(fw_cfg_add_file(f.fw_cfg, longest, text_bytes("x"), NULL));
    g_assert_false(fw_cfg_add_file(f.fw_cfg, longer, text_bytes("x"), NULL));
    g_assert_false(fw_cfg_add_file(f.fw_cfg, "", text_bytes("x"), NULL));
    g_assert_false(fw_cfg_add_file(f.fw_cfg, "etc/ant", text_bytes("x"), NULL));
    fixture_done(&f);
}

static void test_state_is_copied(void)
{
    Fixture from, to;

    fixture_init(&from);
    fixture_init(&to);
    fake_board_out(from.board, SELECTOR, 2, 0x22);
    fake_board_in(from.board, DATA, 1);
    fake_board_in(from.board, DATA, 1);
    fake_board_out(from.board, DMA_HIGH, 4, GUINT32_SWAP_LE_BE(0x12));
    fake_board_check_copy(from.board, to.board);

    g_assert_cmphex(fake_board_in(to.board, DATA, 1), ==, 'r');
    fixture_done(&from);
    fixture_done(&to);
}

static void test_any_access_is_answered(void)
{
    Fixture f;

    fixture_init(&f);
    fake_board_poke_ports(f.board, SELECTOR, 12, 20000);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t gpa = (uint64_t)g_test_rand_int() >> g_test_rand_int_range(0, 32);
        uint32_t length = (uint32_t)g_test_rand_int() >> g_test_rand_int_range(0, 32);

        run_dma(&f, g_test_rand_int() & 0x00ff001f, length, gpa);
    }
    g_assert_cmphex(run_on(&f, 0x20, DMA_READ, 4, BUFFER), ==, 0);

    g_assert_cmpmem(ram(&f, BUFFER), 4, "legs", 4);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fw-cfg/signature-and-id", test_signature_and_id);
    g_test_add_func("/fw-cfg/directory-is-sorted-by-name",
                    test_directory_is_sorted_by_name);
    g_test_add_func("/fw-cfg/data-port-ends-in-zeros", test_data_port_ends_in_zeros);
    g_test_add_func("/fw-cfg/dma-reads-an-item-in-parts",
                    test_dma_reads_an_item_in_parts);
    g_test_add_func("/fw-cfg/dma-crosses-pages", test_dma_crosses_pages);
    g_test_add_func("/fw-cfg/dma-writes-only-what-is-writable",
                    test_dma_writes_only_what_is_writable);
    g_test_add_func("/fw-cfg/dma-outside-ram-is-an-error",
                    test_dma_outside_ram_is_an_error);
    g_test_add_func("/fw-cfg/dma-longer-than-the-item-is-bounded",
                    test_dma_longer_than_the_item_is_bounded);
    g_test_add_func("/fw-cfg/offsets-do-not-wrap", test_offsets_do_not_wrap);
    g_test_add_func("/fw-cfg/descriptor-may-overlap-its-own-transfer",
                    test_descriptor_may_overlap_its_own_transfer);
    g_test_add_func("/fw-cfg/descriptor-outside-ram-is-ignored",
                    test_descriptor_outside_ram_is_ignored);
    g_test_add_func("/fw-cfg/names-are-checked", test_names_are_checked);
    g_test_add_func("/fw-cfg/state-is-copied", test_state_is_copied);
    g_test_add_func("/fw-cfg/any-access-is-answered", test_any_access_is_answered);
    return g_test_run();
}
