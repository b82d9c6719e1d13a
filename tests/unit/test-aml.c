/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/aml.h"

typedef struct Text {
    GByteArray *bytes;
    Aml aml;
} Text;

static void text_begin(Text *text)
{
    text->bytes = g_byte_array_new();
    aml_init(&text->aml, text->bytes);
}

/* Compares with @hex, two digits a byte, blanks ignored. */
static void text_expect(Text *text, const char *hex)
{
    g_autoptr(GString) found = g_string_new(NULL);
    g_autoptr(GString) wanted = g_string_new(NULL);

    aml_done(&text->aml);
    for (guint i = 0; i < text->bytes->len; i++)
        g_string_append_printf(found, "%02x", text->bytes->data[i]);
    for (; *hex; hex++) {
        if (*hex != ' ')
            g_string_append_c(wanted, *hex);
    }
    g_assert_cmpstr(found->str, ==, wanted->str);
    g_byte_array_unref(text->bytes);
}

static void test_integers_take_the_shortest_form(void)
{
    static const struct {
        uint64_t value;
        const char *hex;
    } cases[] = {
        { 0, "00" }, { 1, "01" }, { 2, "0a02" }, { 0xff, "0aff" }, { 0x100, "0b0001" },
        { 0xffff, "0bffff" }, { 0x10000, "0c00000100" }, { 0xffffffff, "0cffffffff" },
        { 0x100000000, "0e0000000001000000" }, { UINT64_MAX, "0effffffffffffffff" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Text text;

        text_begin(&text);
        aml_int(&text.aml, cases[i].value);
        text_expect(&text, cases[i].hex);
    }
}

static void test_names_are_padded_and_joined(void)
{
    static const struct {
        const char *name;
        const char *hex;
    } cases[] = {
        { "", "00" },
        { "\\", "5c00" },
        { "COM1", "434f4d31" },
        { "_S5", "5f53355f" },
        { "^^X", "5e5e585f5f5f" },
        { "\\_SB.PCI0", "5c2e5f53425f50434930" },
        { "\\_SB.PCI0.ISA", "5c2f035f53425f504349304953415f" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Text text;

        text_begin(&text);
        aml_path(&text.aml, cases[i].name);
        text_expect(&text, cases[i].hex);
    }
}

/* The length of a package counts its own bytes, hence these steps. */
static void test_package_length_grows_at_its_limits(void)
{
    static const struct {
        size_t content;
        const char *hex;
        unsigned n;
    } cases[] = {
        { 1, "02", 1 },
        { 62, "3f", 1 },
        { 63, "4104", 2 },
        { 4093, "4fff", 2 },
        { 4094, "810001", 3 },
        { 1048572, "8fffff", 3 },
        { 1048573, "c1000001", 4 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        g_autoptr(GString) found = g_string_new(NULL);
        Aml aml;

        aml_init(&aml, bytes);
        aml_else(&aml);
        for (size_t n = 0; n < cases[i].content; n++)
            aml_byte(&aml, 0xa3);
        aml_end(&aml);

        g_assert_cmpuint(bytes->len, ==, 1 + cases[i].n + cases[i].content);
        g_assert_cmphex(bytes->data[0], ==, 0xa1);
        for (unsigned n = 0; n < cases[i].n; n++)
            g_string_append_printf(found, "%02x", bytes->data[1 + n]);
        g_assert_cmpstr(found->str, ==, cases[i].hex);
        g_assert_cmphex(bytes->data[1 + cases[i].n], ==, 0xa3);
    }
}

static void test_eisa_id_is_packed(void)
{
    Text text;

    text_begin(&text);
    aml_name_eisaid(&text.aml, "_HID", "PNP0A08");

    text_expect(&text, "08 5f484944 0c 41d00a08");
}

static void test_uuid_has_mixed_byte_order(void)
{
    Text text;

    text_begin(&text);
    aml_uuid(&text.aml, "33db4d5b-1ff7-401c-9657-7441c03dd766");

    text_expect(&text, "11 13 0a10 5b4ddb33 f71f 1c40 9657 7441c03dd766");
}

static void test_buffer_carries_its_size(void)
{
    Text text;

    text_begin(&text);
    aml_buffer(&text.aml, "\1\2\3", 3);
    aml_buffer(&text.aml, "", 0);

    text_expect(&text, "11 06 0a03 010203  11 02 00");
}

static void test_blocks_nest(void)
{
    Text text;

    text_begin(&text);
    aml_scope(&text.aml, "\\_SB");
    aml_device(&text.aml, "D");
    aml_name_int(&text.aml, "_UID", 1);
    aml_end(&text.aml);
    aml_end(&text.aml);

    text_expect(&text, "10 13 5c5f53425f  5b82 0b 445f5f5f  08 5f554944 01");
}

static void test_method_flags_hold_arguments_and_serialization(void)
{
    Text text;

    text_begin(&text);
    aml_method(&text.aml, "MTHD", 2, true);
    aml_if(&text.aml);
    aml_op(&text.aml, AML_LEQUAL);
    aml_arg(&text.aml, 0);
    aml_local(&text.aml, 1);
    aml_op(&text.aml, AML_RETURN);
    aml_string(&text.aml, "a");
    aml_end(&text.aml);
    aml_end(&text.aml);

    text_expect(&text, "14 0f 4d544844 0a  a0 08 93 68 61 a4 0d 6100");
}

static void test_field_lists_bits_and_gaps(void)
{
    Text text;

    text_begin(&text);
    aml_region(&text.aml, "REG", AML_SYSTEM_IO, 0x510, 12);
    aml_field(&text.aml, "REG", AML_ACCESS_BYTE, AML_WRITE_AS_ZEROS);
    aml_field_bits(&text.aml, "A", 8);
    aml_field_skip(&text.aml, 64);
    aml_field_bits(&text.aml, "B", 4096);
    aml_end(&text.aml);

    text_expect(&text, "5b80 5245475f 01 0b1005 0a0c "
                       "5b81 15 5245475f 41 415f5f5f 08 00 4004 425f5f5f 800001");
}

static void test_two_byte_operators(void)
{
    Text text;

    text_begin(&text);
    aml_op(&text.aml, AML_ACQUIRE);
    aml_path(&text.aml, "LOCK");
    aml_word(&text.aml, 0xffff);

    text_expect(&text, "5b23 4c4f434b ffff");
}

static void test_resources_end_with_a_tag(void)
{
    static const uint32_t choice[] = { 20, 21 };
    Text text;

    text_begin(&text);
    aml_resources(&text.aml);
    aml_res_io(&text.aml, 0x3f8, 8);
    aml_res_irq(&text.aml, 4);
    aml_res_interrupts(&text.aml, choice, 2);
    aml_res_memory32(&text.aml, 0xb0000000, 0x10000000);
    aml_end(&text.aml);

    text_expect(&text, "11 29 0a26 47 01 f803 f803 00 08  22 1000  "
                       "89 0a00 09 02 14000000 15000000  "
                       "86 0900 01 000000b0 00000010  79 00");
}

static void test_address_ranges_of_three_widths(void)
{
    Text text;

    text_begin(&text);
    aml_res_range16(&text.aml, AML_RANGE_BUS, 0, 255);
    aml_res_range32(&text.aml, AML_RANGE_MEMORY, 0xc0000000, 0xfebfffff);
    aml_res_range64(&text.aml, AML_RANGE_MEMORY, 0x100000000, 0x8ffffffff);

    text_expect(&text,
                "88 0d00 02 0c 00 0000 0000 ff00 0000 0001 "
                "87 1700 00 0c 03 00000000 000000c0 ffffbffe 00000000 0000c03e "
                "8a 2b00 00 0c 03 0000000000000000 0000000001000000 ffffffff08000000 "
                "0000000000000000 0000000008000000");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/aml/integers-take-the-shortest-form",
                    test_integers_take_the_shortest_form);
    g_test_add_func("/aml/names-are-padded-and-joined", test_names_are_padded_and_joined);
    g_test_add_func("/aml/package-length-grows-at-its-limits",
                    test_package_length_grows_at_its_limits);
    g_test_add_func("/aml/eisa-id-is-packed", test_eisa_id_is_packed);
    g_test_add_func("/aml/uuid-has-mixed-byte-order", test_uuid_has_mixed_byte_order);
    g_test_add_func("/aml/buffer-carries-its-size", test_buffer_carries_its_size);
    g_test_add_func("/aml/blocks-nest", test_blocks_nest);
    g_test_add_func("/aml/method-flags",
                    test_method_flags_hold_arguments_and_serialization);
    g_test_add_func("/aml/field-lists-bits-and-gaps", test_field_lists_bits_and_gaps);
    g_test_add_func("/aml/two-byte-operators", test_two_byte_operators);
    g_test_add_func("/aml/resources-end-with-a-tag", test_resources_end_with_a_tag);
    g_test_add_func("/aml/address-ranges-of-three-widths",
                    test_address_ranges_of_three_widths);
    return g_test_run();
}
