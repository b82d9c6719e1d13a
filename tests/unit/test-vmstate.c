/* SPDX-License-Identifier: Apache-2.0 */
/* Save and load by table, and what a hostile stream is answered with. */
#include <string.h>

#include "berth/error.h"
#include "berth/vmstate.h"

typedef struct Inner {
    uint16_t number;
    bool flag;
} Inner;

typedef struct Outer {
    uint8_t u8;
    uint32_t u32;
    uint64_t u64;
    int64_t i64;
    uint8_t bytes[5];
    uint16_t words[3];
    Inner inner;
    Inner pair[2];
    uint32_t n_items;
    Inner *items;
    uint32_t n_bits;
    uint64_t *bits;
    Inner *side;                /* reached by via */
    uint32_t later;
    unsigned n_saved;
} Outer;

static bool inner_post_load(void *opaque, GError **error)
{
    Inner *inner = opaque;

    if (inner->number > 1000) {
        error_set(error, "field 'number' is %u, the most is 1000", inner->number);
        return false;
    }
    return true;
}

static const VMStateField inner_fields[] = {
    VMSTATE_U16(Inner, number),
    VMSTATE_BOOL(Inner, flag),
    VMSTATE_END
};

static const VMStateDesc inner_vmstate = {
    .name = "inner", .version = 1, .fields = inner_fields, .post_load = inner_post_load,
};

static void *side_via(void *opaque, const VMStateDesc **ret_desc)
{
    *ret_desc = &inner_vmstate;
    return ((Outer *)opaque)->side;
}

static void outer_pre_save(void *opaque)
{
    ((Outer *)opaque)->n_saved++;
}

static const VMStateField outer_fields[] = {
    VMSTATE_U8(Outer, u8),
    VMSTATE_U32(Outer, u32),
    VMSTATE_U64(Outer, u64),
    VMSTATE_I64(Outer, i64),
    VMSTATE_BYTES(Outer, bytes, 5),
    VMSTATE_U16_ARRAY(Outer, words, 3),
    VMSTATE_STRUCT(Outer, inner, inner_vmstate),
    VMSTATE_STRUCT_ARRAY(Outer, pair, 2, inner_vmstate),
    VMSTATE_STRUCT_POINTER(Outer, items, n_items, inner_vmstate),
    VMSTATE_U64_POINTER(Outer, bits, n_bits),
    VMSTATE_VIA("side", side_via),
    { .name = "later", .kind = VMSTATE_KIND_U32, .offset = offsetof(Outer, later),
      .size = 4, .count = 1, .min_version = 2 },
    VMSTATE_END
};

static const VMStateDesc outer_vmstate = {
    .name = "outer", .version = 2, .min_version = 1, .fields = outer_fields,
    .pre_save = outer_pre_save,
};

/* The same without the newest field. */
static const VMStateDesc outer_vmstate_old = {
    .name = "outer", .version = 1, .min_version = 1, .fields = outer_fields,
};

typedef struct Fixture {
    Outer outer;
    Inner items[3];
    uint64_t bits[2];
    Inner side;
} Fixture;

static void fixture_init(Fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->outer.n_items = G_N_ELEMENTS(f->items);
    f->outer.items = f->items;
    f->outer.n_bits = G_N_ELEMENTS(f->bits);
    f->outer.bits = f->bits;
    f->outer.side = &f->side;
}

static void fixture_fill(Fixture *f)
{
    fixture_init(f);
    f->outer.u8 = 0x12;
    f->outer.u32 = 0xdeadbeef;
    f->outer.u64 = 0x0123456789abcdefull;
    f->outer.i64 = -2;
    memcpy(f->outer.bytes, "bytes", 5);
    f->outer.words[2] = 0xfffe;
    f->outer.inner = (Inner){ .number = 7, .flag = true };
    f->outer.pair[1] = (Inner){ .number = 8 };
    f->items[2] = (Inner){ .number = 9, .flag = true };
    f->bits[1] = 1ull << 63;
    f->side.number = 10;
    f->outer.later = 11;
}

static void assert_equal(const Fixture *a, const Fixture *b)
{
    g_assert_cmpuint(a->outer.u8, ==, b->outer.u8);
    g_assert_cmpuint(a->outer.u32, ==, b->outer.u32);
    g_assert_cmpuint(a->outer.u64, ==, b->outer.u64);
    g_assert_cmpint(a->outer.i64, ==, b->outer.i64);
    g_assert_cmpmem(a->outer.bytes, 5, b->outer.bytes, 5);
    g_assert_cmpmem(a->outer.words, 6, b->outer.words, 6);
    g_assert_cmpmem(&a->outer.inner, sizeof(Inner), &b->outer.inner, sizeof(Inner));
    g_assert_cmpmem(a->outer.pair, sizeof(a->outer.pair), b->outer.pair,
                    sizeof(b->outer.pair));
    g_assert_cmpmem(a->items, sizeof(a->items), b->items, sizeof(b->items));
    g_assert_cmpmem(a->bits, sizeof(a->bits), b->bits, sizeof(b->bits));
    g_assert_cmpuint(a->side.number, ==, b->side.number);
}

static bool load(const uint8_t *data, size_t size, Fixture *to, GError **error)
{
    fixture_init(to);
    return vmstate_load(&data, &size, &outer_vmstate, &to->outer, error);
}

static void test_round_trip(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Fixture from, to;
    const uint8_t *data;
    size_t size;

    fixture_fill(&from);
    vmstate_save(out, &outer_vmstate, &from.outer);
    g_byte_array_append(out, (const uint8_t *)"next", 4);
    data = out->data;
    size = out->len;
    fixture_init(&to);

    g_assert_true(vmstate_load(&data, &size, &outer_vmstate, &to.outer, &error));

    g_assert_no_error(error);
    assert_equal(&from, &to);
    g_assert_cmpuint(to.outer.later, ==, 11);
    g_assert_cmpuint(from.outer.n_saved, ==, 1);
    g_assert_cmpmem(data, size, "next", 4);
}

static void test_stream_is_big_endian(void)
{
    static const uint8_t expected[] = {
        5, 'i', 'n', 'n', 'e', 'r', 0, 0, 0, 1, 0x01, 0x02, 1,
    };
    g_autoptr(GByteArray) out = g_byte_array_new();
    Inner inner = { .number = 0x0102, .flag = true };

    vmstate_save(out, &inner_vmstate, &inner);

    g_assert_cmpmem(out->data, out->len, expected, sizeof(expected));
}

static void test_older_version_leaves_later_fields(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Fixture from, to;

    fixture_fill(&from);
    vmstate_save(out, &outer_vmstate_old, &from.outer);
    /* The table writes all its fields; an older berth had not this one. */
    g_byte_array_set_size(out, out->len - 4);

    g_assert_true(load(out->data, out->len, &to, &error));

    g_assert_no_error(error);
    g_assert_cmpuint(to.outer.later, ==, 0);
}

static void test_cut_stream_is_refused_at_every_byte(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    Fixture from, to;

    fixture_fill(&from);
    vmstate_save(out, &outer_vmstate, &from.outer);

    for (size_t n = 0; n < out->len; n++) {
        g_autoptr(GError) error = NULL;
        g_autofree uint8_t *cut = g_memdup2(out->data, n);

        g_assert_false(load(cut, n, &to, &error));
        g_assert_nonnull(error);
    }
}

/* Every single changed byte is either refused or gives a state that saves back to it. */
static void test_changed_bytes_never_pass_unseen(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    Fixture from, to;

    fixture_fill(&from);
    vmstate_save(out, &outer_vmstate, &from.outer);

    for (size_t n = 0; n < out->len; n++) {
        g_autoptr(GByteArray) again = g_byte_array_new();

        out->data[n] ^= 0xff;
        if (load(out->data, out->len, &to, NULL)) {
            vmstate_save(again, &outer_vmstate, &to.outer);
            g_assert_cmpmem(again->data, again->len, out->data, out->len);
        }
        out->data[n] ^= 0xff;
    }
}

static void assert_refused(Fixture *from, const char *words)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Fixture to;

    vmstate_save(out, &outer_vmstate, &from->outer);
    g_assert_false(load(out->data, out->len, &to, &error));
    g_assert_nonnull(strstr(error->message, words));
}

static void test_other_number_of_elements_is_refused(void)
{
    Fixture from;

    fixture_fill(&from);
    from.outer.n_items = 2;

    assert_refused(&from, "field 'items' has 2 elements, not 3");
}

static void test_missing_part_is_refused(void)
{
    Fixture from;

    fixture_fill(&from);
    from.outer.side = NULL;

    assert_refused(&from, "field 'side'");
}

static void test_post_load_refusal_names_table_and_field(void)
{
    Fixture from;

    fixture_fill(&from);
    from.items[1].number = 1001;

    assert_refused(&from, "state 'inner': field 'number' is 1001");
}

typedef struct Queue {
    uint8_t *bytes;
    uint32_t n;
} Queue;

static const VMStateField queue_fields[] = {
    VMSTATE_VBYTES(Queue, bytes, n, 8),
    VMSTATE_END
};

static const VMStateDesc queue_vmstate = {
    .name = "queue", .version = 1, .min_version = 1, .fields = queue_fields,
};

static bool copy_queue(Queue *from, Queue *to, GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    const uint8_t *data;
    size_t size;

    vmstate_save(out, &queue_vmstate, from);
    data = out->data;
    size = out->len;
    return vmstate_load(&data, &size, &queue_vmstate, to, error);
}

static void test_stream_sets_the_number_of_variable_bytes(void)
{
    uint8_t some[9] = "abcdefgh", room[8] = "--------";
    Queue from = { some, 3 }, to = { room, 7 }, none = { NULL, 0 };
    g_autoptr(GError) error = NULL;

    g_assert_true(copy_queue(&from, &to, NULL));
    g_assert_cmpuint(to.n, ==, 3);
    g_assert_cmpmem(room, 8, "abc-----", 8);
    g_assert_true(copy_queue(&none, &to, NULL));
    g_assert_cmpuint(to.n, ==, 0);
    g_assert_true(copy_queue(&none, &none, NULL));

    from.n = 9;
    g_assert_false(copy_queue(&from, &to, &error));
    g_assert_nonnull(strstr(error->message, "field 'bytes' has 9 elements"));
    from.n = 1;
    g_assert_false(copy_queue(&from, &none, NULL));
}

typedef struct Holder {
    uint8_t *bytes;
    uint32_t n;
} Holder;

static const VMStateField holder_fields[] = {
    VMSTATE_ABYTES(Holder, bytes, n, 8),
    VMSTATE_END
};

static const VMStateDesc holder_desc = {
    .name = "holder", .version = 1, .min_version = 1, .fields = holder_fields,
};

static void test_bytes_are_allocated_up_to_a_bound(void)
{
    uint8_t nine[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

    for (uint32_t n = 0; n <= 9; n++) {
        g_autoptr(GByteArray) saved = g_byte_array_new();
        Holder from = { nine, n };
        Holder to = { g_malloc(3), 3 };
        const uint8_t *data;
        size_t size;

        vmstate_save(saved, &holder_desc, &from);
        data = saved->data;
        size = saved->len;

        g_assert_true(vmstate_load(&data, &size, &holder_desc, &to, NULL) == (n <= 8));
        if (n <= 8)
            g_assert_cmpmem(to.bytes, to.n, nine, n);
        g_free(to.bytes);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmstate/round-trip", test_round_trip);
    g_test_add_func("/vmstate/big-endian", test_stream_is_big_endian);
    g_test_add_func("/vmstate/older-version", test_older_version_leaves_later_fields);
    g_test_add_func("/vmstate/cut", test_cut_stream_is_refused_at_every_byte);
    g_test_add_func("/vmstate/changed", test_changed_bytes_never_pass_unseen);
    g_test_add_func("/vmstate/other-number", test_other_number_of_elements_is_refused);
    g_test_add_func("/vmstate/missing-part", test_missing_part_is_refused);
    g_test_add_func("/vmstate/post-load", test_post_load_refusal_names_table_and_field);
    g_test_add_func("/vmstate/allocated", test_bytes_are_allocated_up_to_a_bound);
    g_test_add_func("/vmstate/variable", test_stream_sets_the_number_of_variable_bytes);
    return g_test_run();
}
