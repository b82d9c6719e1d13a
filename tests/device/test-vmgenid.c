/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generation ID: where firmware or the board puts it, and when the guest learns of
 * another.
 */
#include <string.h>

#include "berth/vmgenid.h"
#include "berth/x86-layout.h"

#include "fake-board.h"

#define GUID_A "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e"
#define GUID_B "00000000-1111-2222-3333-444444444444"
#define PAGE 0x5000u

static const uint8_t bytes_a[16] = { 0xf8, 0x0c, 0xdc, 0x43, 0x9b, 0x80, 0xdb, 0x4a,
                                     0x9b, 0xea, 0xa9, 0xab, 0xb5, 0xf3, 0xd9, 0x0e };
static const uint8_t bytes_b[16] = { 0, 0, 0, 0, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33,
                                     0x44, 0x44, 0x44, 0x44, 0x44, 0x44 };

typedef struct Fixture {
    FakeBoard *fake;
    Device *dev;
    IrqLine gpe;
    unsigned n_events;
} Fixture;

static void on_gpe(void *opaque, unsigned n, bool level)
{
    Fixture *f = opaque;

    f->n_events += level;
}

static void fixture_init(Fixture *f, const char *device)
{
    g_autoptr(GError) error = NULL;

    *f = (Fixture) { .fake = fake_board_new() };
    irq_line_init(&f->gpe, on_gpe, f, X86_GPE_VMGENID);
    f->fake->board.gpes[X86_GPE_VMGENID] = &f->gpe;
    f->dev = fake_board_add(f->fake, device, &error);
    g_assert_no_error(error);
    device_tree_reset(&f->fake->tree);
    device_tree_resume(&f->fake->tree);
}

static void fixture_done(Fixture *f)
{
    fake_board_free(f->fake);
}

static const uint8_t *guest_ram(Fixture *f, uint64_t gpa)
{
    return (const uint8_t *)f->fake->ram->host + gpa;
}

/* As firmware does through fw_cfg: tells where it has put the page. */
static void write_address(Fixture *f, uint64_t page)
{
    *vmgenid_address(f->dev) = GUINT64_TO_LE(page);
}

static void load_from(Fixture *to, Fixture *from)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    device_tree_pause(&from->fake->tree);
    device_tree_pause(&to->fake->tree);
    device_tree_save(&from->fake->tree, state);
    device_tree_load(&to->fake->tree, state->data, state->len, &error);
    g_assert_no_error(error);
    device_tree_resume(&to->fake->tree);
}

static void test_firmware_gets_the_page(void)
{
    Fixture f;
    g_autoptr(GBytes) page = NULL;
    const uint8_t *data;
    size_t size;

    fixture_init(&f, "vmgenid,guid=" GUID_A);
    page = vmgenid_page(f.dev);
    data = g_bytes_get_data(page, &size);

    g_assert_cmpuint(size, ==, 4096);
    g_assert_cmpmem(data + VMGENID_OFFSET, 16, bytes_a, 16);
    fixture_done(&f);
}

static void test_board_places_it_without_firmware(void)
{
    Fixture f;

    fixture_init(&f, "vmgenid,guid=" GUID_A);

    g_assert_true(vmgenid_place(f.dev, PAGE));
    g_assert_cmpmem(guest_ram(&f, PAGE + VMGENID_OFFSET), 16, bytes_a, 16);
    g_assert_false(vmgenid_place(f.dev, FAKE_BOARD_RAM));
    g_assert_false(vmgenid_place(f.dev, UINT64_MAX - 8));
    fixture_done(&f);
}

static void test_auto_makes_one_up(void)
{
    static const char *const texts[] = { "vmgenid", "vmgenid,guid=auto" };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        Fixture f, g;
        Uuid first, second;

        fixture_init(&f, texts[i]);
        fixture_init(&g, texts[i]);
        first = vmgenid_guid(f.dev);
        second = vmgenid_guid(g.dev);
        g_assert_cmpint(memcmp(&first, &second, sizeof(first)), !=, 0);
        fixture_done(&f);
        fixture_done(&g);
    }
}

static void test_guest_learns_of_another_guid_after_a_load(void)
{
    Fixture source, target;

    fixture_init(&source, "vmgenid,guid=" GUID_A);
    fixture_init(&target, "vmgenid,guid=" GUID_B);
    write_address(&source, PAGE);

    load_from(&target, &source);

    g_assert_cmpuint(target.n_events, ==, 1);
    g_assert_cmpmem(guest_ram(&target, PAGE + VMGENID_OFFSET), 16, bytes_b, 16);

    /* Told once. */
    device_tree_pause(&target.fake->tree);
    device_tree_resume(&target.fake->tree);
    g_assert_cmpuint(target.n_events, ==, 1);
    fixture_done(&source);
    fixture_done(&target);
}

static void test_same_guid_is_no_news(void)
{
    Fixture source, target;

    fixture_init(&source, "vmgenid,guid=" GUID_A);
    fixture_init(&target, "vmgenid,guid=" GUID_A);
    g_assert_true(vmgenid_place(source.dev, PAGE));

    load_from(&target, &source);

    g_assert_cmpuint(target.n_events, ==, 0);
    fixture_done(&source);
    fixture_done(&target);
}

static void test_change_is_told_after_a_second_save(void)
{
    Fixture first, second, third;
    g_autoptr(GByteArray) state = g_byte_array_new();

    fixture_init(&first, "vmgenid,guid=" GUID_A);
    fixture_init(&second, "vmgenid,guid=" GUID_B);
    fixture_init(&third, "vmgenid,guid=" GUID_B);
    g_assert_true(vmgenid_place(first.dev, PAGE));
    device_tree_pause(&first.fake->tree);
    device_tree_pause(&second.fake->tree);
    device_tree_pause(&third.fake->tree);
    device_tree_save(&first.fake->tree, state);
    g_assert_true(device_tree_load(&second.fake->tree, state->data, state->len, NULL));
    g_byte_array_set_size(state, 0);

    /* Loaded and saved again, but never run. */
    device_tree_save(&second.fake->tree, state);
    g_assert_true(device_tree_load(&third.fake->tree, state->data, state->len, NULL));
    device_tree_resume(&third.fake->tree);

    g_assert_cmpuint(third.n_events, ==, 1);
    fixture_done(&first);
    fixture_done(&second);
    fixture_done(&third);
}

static void test_address_of_a_guest_is_checked(void)
{
    static const uint64_t pages[] = {
        FAKE_BOARD_RAM, FAKE_BOARD_RAM - VMGENID_OFFSET - 15, UINT64_MAX, 0xfee00000,
        UINT64_MAX - 40, 1ull << 63,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(pages); i++) {
        Fixture source, target;

        fixture_init(&source, "vmgenid,guid=" GUID_A);
        fixture_init(&target, "vmgenid,guid=" GUID_B);
        write_address(&source, pages[i]);
        load_from(&target, &source);
        g_assert_cmpuint(target.n_events, ==, 0);
        fixture_done(&source);
        fixture_done(&target);
    }
}

static void test_reset_forgets_the_place(void)
{
    Fixture f, target;

    fixture_init(&f, "vmgenid,guid=" GUID_A);
    fixture_init(&target, "vmgenid,guid=" GUID_B);
    write_address(&f, PAGE);
    device_tree_pause(&f.fake->tree);
    device_tree_reset(&f.fake->tree);
    device_tree_resume(&f.fake->tree);

    load_from(&target, &f);

    g_assert_cmpuint(target.n_events, ==, 0);
    g_assert_cmpuint(guest_ram(&target, PAGE + VMGENID_OFFSET + 4)[0], ==, 0);
    fixture_done(&f);
    fixture_done(&target);
}

static void test_wrong_devices_are_refused(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "vmgenid,guid=x", "'guid'" },
        { "vmgenid,guid=", "'guid'" },
        { "vmgenid,bus=pcie.0", "'bus'" },
        { "vmgenid,addr=3", "'addr'" },
        { "vmgenid,size=3", "'size'" },
    };
    g_autoptr(FakeBoard) fake = fake_board_new();
    g_autoptr(GError) second = NULL, late = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(fake_board_add(fake, cases[i].text, &error));
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
    }

    g_assert_nonnull(fake_board_add(fake, "vmgenid", NULL));
    g_assert_null(fake_board_add(fake, "vmgenid,id=b", &second));
    g_assert_nonnull(strstr(second->message, "already"));
    device_tree_resume(&fake->tree);
    g_assert_null(fake_board_add(fake, "vmgenid,id=b", &late));
    g_assert_nonnull(strstr(late->message, "cannot be plugged"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmgenid/firmware-gets-the-page", test_firmware_gets_the_page);
    g_test_add_func("/vmgenid/board-places-it-without-firmware",
                    test_board_places_it_without_firmware);
    g_test_add_func("/vmgenid/auto-makes-one-up", test_auto_makes_one_up);
    g_test_add_func("/vmgenid/guest-learns-of-another-guid-after-a-load",
                    test_guest_learns_of_another_guid_after_a_load);
    g_test_add_func("/vmgenid/same-guid-is-no-news", test_same_guid_is_no_news);
    g_test_add_func("/vmgenid/change-is-told-after-a-second-save",
                    test_change_is_told_after_a_second_save);
    g_test_add_func("/vmgenid/address-of-a-guest-is-checked",
                    test_address_of_a_guest_is_checked);
    g_test_add_func("/vmgenid/reset-forgets-the-place", test_reset_forgets_the_place);
    g_test_add_func("/vmgenid/wrong-devices-are-refused", test_wrong_devices_are_refused);
    return g_test_run();
}
