/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the guest says that its VMCOREINFO is: nothing at first, then what it has written
 * through fw_cfg, until a reset.
 */
#include <string.h>

#include "berth/vmcoreinfo.h"

#include "fake-board.h"

typedef struct Fixture {
    FakeBoard *fake;
    Device *dev;
    uint8_t *file;
    uint64_t gpa;
    uint32_t size;
} Fixture;

static void fixture_init(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    size_t size;

    *f = (Fixture) { .fake = fake_board_new() };
    f->dev = fake_board_add(f->fake, "vmcoreinfo", &error);
    g_assert_no_error(error);
    device_tree_reset(&f->fake->tree);
    f->file = vmcoreinfo_data(f->dev, &size);
    g_assert_cmpuint(size, ==, 16);
}

static void fixture_done(Fixture *f)
{
    fake_board_free(f->fake);
}

/* As a kernel does it: "guest format, size, address" behind the host's format. */
static void write_file(Fixture *f, uint16_t format)
{
    const uint8_t bytes[] = { 0, 0, (uint8_t)format, (uint8_t)(format >> 8), 0x34, 0x12,
                              0, 0, 0x78, 0x56, 0x34, 0x12, 1, 0, 0, 0 };

    memcpy(f->file, bytes, sizeof(bytes));
}

static void test_nothing_is_told_at_first(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmpmem(f.file, 16, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    g_assert_false(vmcoreinfo_note(f.dev, &f.gpa, &f.size));
    fixture_done(&f);
}

static void test_the_guest_tells_until_its_reset(void)
{
    Fixture f;

    fixture_init(&f);
    write_file(&f, 1);

    g_assert_true(vmcoreinfo_note(f.dev, &f.gpa, &f.size));
    g_assert_cmphex(f.gpa, ==, 0x112345678);
    g_assert_cmphex(f.size, ==, 0x1234);
    device_tree_reset(&f.fake->tree);
    g_assert_false(vmcoreinfo_note(f.dev, &f.gpa, &f.size));
    fixture_done(&f);
}

/* Nobody tells it again after a sleep. */
static void test_it_is_kept_in_sleep(void)
{
    Fixture f;

    fixture_init(&f);
    write_file(&f, 1);
    device_tree_suspend(&f.fake->tree);

    g_assert_true(vmcoreinfo_note(f.dev, &f.gpa, &f.size));
    g_assert_cmphex(f.gpa, ==, 0x112345678);
    fixture_done(&f);
}

static void test_other_formats_are_nothing(void)
{
    static const uint16_t formats[] = { 0, 2, 0x100, 0xffff };
    Fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        write_file(&f, formats[i]);
        g_assert_false(vmcoreinfo_note(f.dev, &f.gpa, &f.size));
    }
    fixture_done(&f);
}

static void test_what_was_told_is_saved(void)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    Fixture f, other;

    fixture_init(&f);
    fixture_init(&other);
    write_file(&f, 1);

    device_tree_save(&f.fake->tree, state);
    g_assert_true(device_tree_load(&other.fake->tree, state->data, state->len, NULL));

    g_assert_true(vmcoreinfo_note(other.dev, &other.gpa, &other.size));
    g_assert_cmphex(other.gpa, ==, 0x112345678);
    fixture_done(&f);
    fixture_done(&other);
}

static void test_there_is_one(void)
{
    g_autoptr(GError) error = NULL;
    Fixture f;

    fixture_init(&f);
    g_assert_true(vmcoreinfo_find(&f.fake->tree) == f.dev);
    g_assert_null(fake_board_add(f.fake, "vmcoreinfo", &error));
    g_assert_nonnull(strstr(error->message, "has a 'vmcoreinfo' already"));
    g_clear_error(&error);
    g_assert_null(fake_board_add(f.fake, "vmcoreinfo,addr=1", &error));
    g_assert_nonnull(strstr(error->message, "'addr'"));
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmcoreinfo/nothing", test_nothing_is_told_at_first);
    g_test_add_func("/vmcoreinfo/told", test_the_guest_tells_until_its_reset);
    g_test_add_func("/vmcoreinfo/kept-in-sleep", test_it_is_kept_in_sleep);
    g_test_add_func("/vmcoreinfo/formats", test_other_formats_are_nothing);
    g_test_add_func("/vmcoreinfo/saved", test_what_was_told_is_saved);
    g_test_add_func("/vmcoreinfo/one", test_there_is_one);
    return g_test_run();
}
