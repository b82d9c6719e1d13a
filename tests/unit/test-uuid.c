/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/uuid.h"

static void test_text_and_bytes(void)
{
    static const uint8_t bytes[16] = { 0x43, 0xdc, 0x0c, 0xf8, 0x80, 0x9b, 0x4a, 0xdb,
                                       0x9b, 0xea, 0xa9, 0xab, 0xb5, 0xf3, 0xd9, 0x0e };
    static const uint8_t little[16] = { 0xf8, 0x0c, 0xdc, 0x43, 0x9b, 0x80, 0xdb, 0x4a,
                                        0x9b, 0xea, 0xa9, 0xab, 0xb5, 0xf3, 0xd9, 0x0e };
    char text[UUID_TEXT_SIZE];
    Uuid uuid, swapped;

    g_assert_true(uuid_parse("43DC0CF8-809b-4adb-9bea-a9abb5f3d90e", &uuid));
    g_assert_cmpmem(uuid.bytes, 16, bytes, 16);
    uuid_format(&uuid, text);
    g_assert_cmpstr(text, ==, "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e");
    swapped = uuid_to_little(&uuid);
    g_assert_cmpmem(swapped.bytes, 16, little, 16);
}

static void test_what_is_no_uuid(void)
{
    static const char *const texts[] = {
        "", "1", "43dc0cf8-809b-4adb-9bea-a9abb5f3d90", "auto",
        "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e0", "43dc0cf8809b-4adb-9bea-a9abb5f3d90e0",
        "43dc0cf8-809b-4adb-9bea_a9abb5f3d90e", "{3dc0cf8-809b-4adb-9bea-a9abb5f3d90e",
        "43dc0cf8-809b-4adb-9bea-a9abb5f3d9 e", "g3dc0cf8-809b-4adb-9bea-a9abb5f3d90e",
    };
    Uuid uuid;

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        g_assert_false(uuid_parse(texts[i], &uuid));
}

static void test_random_ones_differ(void)
{
    Uuid a, b;

    g_assert_true(uuid_random(&a, NULL));
    g_assert_true(uuid_random(&b, NULL));
    g_assert_cmpint(memcmp(&a, &b, sizeof(a)), !=, 0);
    g_assert_cmphex(a.bytes[6] >> 4, ==, 4);
    g_assert_cmphex(a.bytes[8] >> 6, ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/uuid/text-and-bytes", test_text_and_bytes);
    g_test_add_func("/uuid/what-is-no-uuid", test_what_is_no_uuid);
    g_test_add_func("/uuid/random-ones-differ", test_random_ones_differ);
    return g_test_run();
}
