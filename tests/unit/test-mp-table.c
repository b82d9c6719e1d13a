/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/mp-table.h"
#include "berth/board.h"
#include "berth/x86-layout.h"

#define HEADER_SIZE 44

static uint8_t sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;

    for (size_t i = 0; i < size; i++)
        total += bytes[i];
    return total;
}

static unsigned number(const uint8_t *bytes, unsigned size)
{
    unsigned value = 0;

    for (unsigned i = size; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* The entries of one type, in order; those of processors have 20 bytes, others 8. */
static GPtrArray *entries(const GByteArray *table, uint8_t type)
{
    GPtrArray *found = g_ptr_array_new();
    size_t at = HEADER_SIZE;
    unsigned n = 0;

    for (; at < table->len; n++) {
        if (table->data[at] == type)
            g_ptr_array_add(found, table->data + at);
        at += table->data[at] == 0 ? 20 : 8;
    }
    g_assert_cmpuint(at, ==, table->len);
    g_assert_cmpuint(n, ==, number(table->data + 34, 2));
    return found;
}

static GByteArray *make(const uint32_t *ids, size_t n)
{
    const MpMachine machine = {
        .apic_ids = ids, .n_cpus = n, .pit = true, .signature = 0x0783fbff00a20f10,
    };

    return mp_table_new(&machine, NULL);
}

static void test_table_is_whole(void)
{
    static const uint32_t ids[] = { 0, 2, 254 };
    g_autoptr(GByteArray) table = make(ids, 3);
    uint8_t floating[MP_FLOATING_SIZE];

    mp_table_write_floating(0xe0040, floating);

    g_assert_cmpmem(table->data, 4, "PCMP", 4);
    g_assert_cmpuint(number(table->data + 4, 2), ==, table->len);
    g_assert_cmpuint(sum(table->data, table->len), ==, 0);
    g_assert_cmpmem(floating, 4, "_MP_", 4);
    g_assert_cmphex(number(floating + 4, 4), ==, 0xe0040);
    g_assert_cmpuint(sum(floating, sizeof(floating)), ==, 0);
}

static void test_processors_are_those_there_are(void)
{
    static const uint32_t ids[] = { 0, 2, 254 };
    g_autoptr(GByteArray) table = make(ids, 3);
    g_autoptr(GPtrArray) cpus = entries(table, 0);

    g_assert_cmpuint(cpus->len, ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *cpu = g_ptr_array_index(cpus, i);

        g_assert_cmpuint(cpu[1], ==, ids[i]);
        g_assert_cmphex(cpu[3], ==, i == 0 ? 3 : 1);
        g_assert_cmphex(number(cpu + 4, 4), ==, 0xa20f10);
        g_assert_cmphex(number(cpu + 8, 4), ==, 0x783fbff);
    }
}

static void test_interrupts_end_at_the_pins_of_the_board(void)
{
    static const uint32_t ids[] = { 0 };
    g_autoptr(GByteArray) table = make(ids, 1);
    g_autoptr(GPtrArray) interrupts = entries(table, 3);
    unsigned n_isa = 0;

    g_assert_cmpuint(interrupts->len, ==, 32 * 4 + 15);
    for (guint i = 0; i < interrupts->len; i++) {
        const uint8_t *entry = g_ptr_array_index(interrupts, i);
        unsigned pin = entry[7], irq = entry[5];

        if (entry[4] == 0) {
            g_assert_cmpuint(pin, ==, X86_PCI_GSI(irq >> 2, irq & 3));
        } else {
            g_assert_cmpuint(pin, ==, irq == 0 ? 2 : irq);
            g_assert_cmpuint(irq, !=, 2);
            n_isa++;
        }
        g_assert_cmpuint(pin, <, X86_GSI_COUNT);
    }
    g_assert_cmpuint(n_isa, ==, 15);
}

static void test_apic_id_without_room_is_refused(void)
{
    static const uint32_t ids[] = { 0, 255 };
    const MpMachine machine = { .apic_ids = ids, .n_cpus = 2 };
    g_autoptr(GError) error = NULL;

    g_assert_null(mp_table_new(&machine, &error));
    g_assert_nonnull(strstr(error->message, "255"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mp-table/table-is-whole", test_table_is_whole);
    g_test_add_func("/mp-table/processors-are-those-there-are",
                    test_processors_are_those_there_are);
    g_test_add_func("/mp-table/interrupts-end-at-the-pins-of-the-board",
                    test_interrupts_end_at_the_pins_of_the_board);
    g_test_add_func("/mp-table/apic-id-without-room-is-refused",
                    test_apic_id_without_room_is_refused);
    return g_test_run();
}
