/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "kit-slots.h"

#define GPE_STATUS (X86_PM_BASE + X86_PM_GPE0)

void kit_slots_init(KitSlots *s, const KitSlotsKind *kind, const char *const *words)
{
    s->kind = kind;
    hmp_bench_init(&s->bench, words);
    s->qmp = kit_qmp_new_on(&s->bench.ctx, s->bench.loop);
}

void kit_slots_done(KitSlots *s)
{
    kit_qmp_free(s->qmp);
    hmp_bench_done(&s->bench);
}

void kit_slots_out(KitSlots *s, uint16_t port, unsigned size, uint32_t value)
{
    vm_fake_write(s->bench.machine->vm, s->bench.machine->io, port, size, value);
}

uint32_t kit_slots_in(KitSlots *s, uint16_t port, unsigned size)
{
    return (uint32_t)vm_fake_read(s->bench.machine->vm, s->bench.machine->io, port, size);
}

uint32_t kit_slots_flags(KitSlots *s, uint32_t slot)
{
    kit_slots_out(s, s->kind->select, 4, slot);
    return kit_slots_in(s, s->kind->flags, 1);
}

void kit_slots_control(KitSlots *s, uint32_t slot, uint8_t value)
{
    kit_slots_out(s, s->kind->select, 4, slot);
    kit_slots_out(s, s->kind->flags, 1, value);
}

void kit_slots_tell(KitSlots *s, uint32_t slot, uint32_t event, uint32_t status)
{
    kit_slots_out(s, s->kind->select, 4, slot);
    s->kind->tell(s, event, status);
}

bool kit_slots_take_gpe(KitSlots *s)
{
    uint32_t bit = 1u << s->kind->gpe;
    bool is_set = kit_slots_in(s, GPE_STATUS, 1) & bit;

    kit_slots_out(s, GPE_STATUS, 1, bit);
    return is_set;
}

void kit_slots_poke_absent(KitSlots *s, uint32_t slot)
{
    kit_slots_out(s, s->kind->select, 4, slot);
    for (unsigned offset = 0; offset < s->kind->n_ports; offset++) {
        uint16_t port = (uint16_t)(s->kind->select + offset);

        for (unsigned size = 1; size <= 4; size *= 2) {
            if (offset + size > s->kind->n_ports)
                continue;
            if (offset)
                kit_slots_out(s, port, size, UINT32_MAX);
            g_assert_cmphex(kit_slots_in(s, port, size), ==, 0);
        }
    }
}

void kit_slots_turn(KitSlots *s)
{
    loop_turn(s->bench.loop, false);
}

void kit_slots_eject(KitSlots *s, uint32_t slot)
{
    kit_slots_control(s, slot, KIT_SLOT_EJECT);
    kit_slots_turn(s);
}

void kit_slots_assert_unplug(KitSlots *s, const char *expected)
{
    g_autoptr(JsonValue) list = kit_qmp_ask(s->qmp, "x-query-unplug", NULL);

    kit_qmp_assert_at(list, "0.state", expected);
}

void kit_slots_assert_deleted(KitSlots *s)
{
    g_autoptr(JsonValue) data = kit_qmp_wait_event(s->qmp, "DEVICE_DELETED");
    g_autofree char *path = g_strconcat("/machine/peripheral/", s->kind->id, NULL);

    kit_qmp_assert_at(data, "device", s->kind->id);
    kit_qmp_assert_at(data, "path", path);
    s->kind->assert_gone(s);
}

void kit_slots_assert_ost(KitSlots *s, const char *device, const char *status)
{
    g_autoptr(JsonValue) data = kit_qmp_wait_event(s->qmp, "ACPI_DEVICE_OST");
    g_autofree char *slot = g_strdup_printf("%u", s->kind->slot);

    kit_qmp_assert_at(data, "info.device", device);
    kit_qmp_assert_at(data, "info.slot", slot);
    kit_qmp_assert_at(data, "info.slot-type", s->kind->ost_type);
    kit_qmp_assert_at(data, "info.source", "3");
    kit_qmp_assert_at(data, "info.status", status);
}

GByteArray *kit_slots_save(KitSlots *s)
{
    GByteArray *bytes = g_byte_array_new();

    device_tree_save(&s->bench.machine->tree, bytes);
    return bytes;
}

/* Where the state of the controller is in @saved; its size. */
static uint8_t *find_state(KitSlots *s, const GByteArray *saved, size_t *ret_size)
{
    const char *path = s->kind->path;
    uint8_t *at = memmem(saved->data, saved->len, path, strlen(path));
    uint32_t size;

    g_assert_nonnull(at);
    at += strlen(path);
    memcpy(&size, at, sizeof(size));
    *ret_size = GUINT32_FROM_BE(size);
    return at + sizeof(size);
}

/* All that a guest can read and write of each slot, and more slots than there are. */
static void poke_all(KitSlots *s)
{
    for (uint32_t slot = 0; slot < 8; slot++) {
        kit_slots_out(s, s->kind->select, 4, slot);
        for (uint16_t offset = 0; offset < s->kind->n_ports; offset++)
            kit_slots_in(s, (uint16_t)(s->kind->select + offset), 1);
        kit_slots_control(s, slot, KIT_SLOT_CAME | KIT_SLOT_GOES);
        kit_slots_tell(s, slot, UINT32_MAX, UINT32_MAX);
    }
}

void kit_slots_load_any_state(KitSlots *s)
{
    static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
    DeviceTree *tree = &s->bench.machine->tree;
    g_autoptr(GByteArray) saved = NULL;
    unsigned n_taken = 0, n_refused = 0;
    uint8_t *state;
    size_t size;

    kit_qmp_do(s->qmp, "stop", NULL);
    saved = kit_slots_save(s);
    state = find_state(s, saved, &size);
    for (size_t i = 0; i < size * G_N_ELEMENTS(values); i++) {
        uint8_t right = state[i / G_N_ELEMENTS(values)];

        state[i / G_N_ELEMENTS(values)] = values[i % G_N_ELEMENTS(values)];
        if (device_tree_load(tree, saved->data, saved->len, NULL))
            n_taken++;
        else
            n_refused++;
        state[i / G_N_ELEMENTS(values)] = right;
        poke_all(s);
    }
    g_assert_cmpuint(n_taken, >, 0);
    g_assert_cmpuint(n_refused, >, 0);
    g_assert_true(device_tree_load(tree, saved->data, saved->len, NULL));
    kit_qmp_do(s->qmp, "cont", NULL);
}

bool kit_slots_add_with_fault(KitSlots *s, unsigned n)
{
    g_autoptr(JsonValue) reply = NULL;

    vm_fake_fail_nth(s->bench.machine->vm, n, -ENOMEM);
    kit_qmp_send(s->qmp, "device_add", s->kind->add);
    reply = kit_qmp_receive(s->qmp);
    vm_fake_fail_nth(s->bench.machine->vm, 0, 0);
    return !json_member(reply, "error");
}

void kit_slots_remind(KitSlots *s)
{
    int64_t end_ns = loop_clock_ns() + 20 * NS_PER_SEC;
    bool is_told = false;

    kit_qmp_do(s->qmp, "device_add", "%s", s->kind->add);
    kit_slots_control(s, s->kind->slot, KIT_SLOT_CAME);
    kit_slots_take_gpe(s);
    kit_qmp_do(s->qmp, "device_del", "{'id': '%s'}", s->kind->id);
    g_assert_true(kit_slots_take_gpe(s));
    while (!is_told && loop_clock_ns() < end_ns) {
        loop_turn(s->bench.loop, true);
        is_told = kit_slots_take_gpe(s);
    }
    g_assert_true(is_told);
    kit_slots_control(s, s->kind->slot, KIT_SLOT_GOES);
    kit_slots_eject(s, s->kind->slot);
    kit_slots_assert_deleted(s);
}

void kit_slots_eject_and_look(KitSlots *s)
{
    uint32_t slot = s->kind->slot;

    kit_qmp_do(s->qmp, "device_add", "%s", s->kind->add);
    kit_slots_control(s, slot, KIT_SLOT_CAME);
    g_assert_cmphex(kit_slots_flags(s, slot), ==, KIT_SLOT_THERE);
    kit_slots_control(s, slot, KIT_SLOT_EJECT);
    g_assert_cmphex(kit_slots_flags(s, slot), ==, 0);
    kit_slots_turn(s);
    kit_slots_assert_deleted(s);
    kit_qmp_do(s->qmp, "device_add", "%s", s->kind->add);
    g_assert_cmphex(kit_slots_flags(s, slot) & KIT_SLOT_THERE, ==, KIT_SLOT_THERE);
}

void kit_slots_come_and_let_go(KitSlots *s)
{
    uint32_t slot = s->kind->slot;

    kit_qmp_do(s->qmp, "device_add", "%s", s->kind->add);
    kit_slots_control(s, slot, KIT_SLOT_CAME);
    g_assert_true(kit_slots_take_gpe(s));
    kit_qmp_do(s->qmp, "device_del", "{'id': '%s'}", s->kind->id);
    g_assert_true(kit_slots_take_gpe(s));
    g_assert_cmphex(kit_slots_flags(s, slot), ==, KIT_SLOT_THERE | KIT_SLOT_GOES);
    kit_slots_assert_unplug(s, "asked");
    kit_slots_control(s, slot, KIT_SLOT_GOES);
    kit_slots_tell(s, slot, KIT_OST_EJECT_REQUEST, KIT_OST_IN_PROGRESS);
    kit_slots_turn(s);
    kit_slots_assert_ost(s, s->kind->id, "132");
    kit_slots_assert_unplug(s, "asked");

    kit_slots_control(s, slot, KIT_SLOT_EJECT);
    kit_slots_tell(s, slot, KIT_OST_EJECT_REQUEST, 0);
    kit_slots_turn(s);
    kit_slots_assert_deleted(s);
    kit_slots_assert_ost(s, "absent", "0");
    g_assert_cmphex(kit_slots_flags(s, slot), ==, 0);
}

void kit_slots_come_and_go(KitSlots *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        kit_qmp_do(s->qmp, "device_add", "%s", s->kind->add);
        kit_qmp_do(s->qmp, i % 3 ? "device_del" : "x-device-del-force", "{'id': '%s'}",
                   s->kind->id);
        if (i % 3)
            kit_slots_eject(s, s->kind->slot);
        kit_slots_assert_deleted(s);
        if (i % 10 == 0)
            kit_qmp_do(s->qmp, "stop", NULL);
        if (i % 10 == 3)
            kit_qmp_do(s->qmp, "cont", NULL);
    }
}
