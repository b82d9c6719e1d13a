/* SPDX-License-Identifier: Apache-2.0 */
/* qemu-xhci: what a driver finds, its rings, and guests that mean no good. */
#include <string.h>

#include "berth/device-timer.h"
#include "berth/error.h"

#include "kit-pci.h"

#define OPERATIONAL 0x40u
#define USBCMD (OPERATIONAL + 0x00u)
#define USBSTS (OPERATIONAL + 0x04u)
#define CRCR (OPERATIONAL + 0x18u)
#define DCBAAP (OPERATIONAL + 0x30u)
#define CONFIG (OPERATIONAL + 0x38u)
#define PORTS 0x440u
#define RUNTIME 0x1000u
#define IMAN (RUNTIME + 0x20u)
#define ERSTSZ (RUNTIME + 0x28u)
#define ERSTBA (RUNTIME + 0x30u)
#define ERDP (RUNTIME + 0x38u)
#define DOORBELLS 0x2000u

#define RUN 1u
#define RESET 2u
#define INTERRUPTS 4u
#define HALTED (1u << 0)
#define SYSTEM_ERROR (1u << 2)
#define EVENT_INTERRUPT (1u << 3)
#define CONTROLLER_ERROR (1u << 12)
#define BUSY (1u << 3)

/* Where this driver has its rings. */
#define COMMANDS 0x100000u
#define TABLE 0x110000u
#define EVENTS 0x120000u
#define N_EVENTS 16u
#define MESSAGE 0x51u

/* Types of blocks. */
enum { LINK = 6, ENABLE_SLOT = 9, DISABLE_SLOT, ADDRESS_DEVICE, CONFIGURE,
       RESET_DEVICE = 17, NO_OP = 23 };

typedef struct Driver {
    KitBoard *kit;
    KitPci pci;
    uint64_t bar;
    unsigned command;           /* the next block of the ring */
    unsigned event;
    unsigned cycle;             /* of events */
} Driver;

static uint32_t get(Driver *driver, unsigned offset)
{
    return (uint32_t)kit_read(driver->kit, driver->bar + offset, 4);
}

static void set(Driver *driver, unsigned offset, uint32_t value)
{
    kit_write(driver->kit, driver->bar + offset, 4, value);
}

static void set_address(Driver *driver, unsigned offset, uint64_t value)
{
    set(driver, offset, (uint32_t)value);
    set(driver, offset + 4, (uint32_t)(value >> 32));
}

/* @json has the properties after the driver's name, or nothing. */
static Driver driver_new(const char *json)
{
    g_autofree char *text =
        g_strdup_printf("{'driver': 'qemu-xhci', 'id': 'usb'%s}", json);
    Driver driver = { .kit = kit_board_new(), .cycle = 1 };
    Device *dev = kit_add(driver.kit, text);

    driver.pci = kit_pci(driver.kit, dev);
    kit_start(driver.kit);
    kit_pci_set_command(&driver.pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    driver.bar = kit_pci_bar(&driver.pci, 0);
    return driver;
}

static void driver_done(Driver *driver)
{
    kit_board_free(driver->kit);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Driver, driver_done)

static void write_block(Driver *driver, uint64_t gpa, uint64_t parameter, uint32_t status,
                        uint32_t control)
{
    kit_write(driver->kit, gpa, 8, parameter);
    kit_write(driver->kit, gpa + 8, 4, status);
    kit_write(driver->kit, gpa + 12, 4, control);
}

/* As drivers do: reset, rings, interrupts, run. */
static void driver_start(Driver *driver)
{
    set(driver, USBCMD, RESET);
    driver->command = driver->event = 0;
    driver->cycle = 1;
    for (unsigned i = 0; i < N_EVENTS; i++)
        write_block(driver, EVENTS + 16 * i, 0, 0, 0);
    for (unsigned i = 0; i < 64; i++)
        write_block(driver, COMMANDS + 16 * i, 0, 0, 0);
    set(driver, CONFIG, 8);
    set_address(driver, DCBAAP, 0x130000);
    set_address(driver, CRCR, COMMANDS | 1);
    write_block(driver, TABLE, EVENTS, N_EVENTS, 0);
    set(driver, ERSTSZ, 1);
    set_address(driver, ERDP, EVENTS | BUSY);
    set_address(driver, ERSTBA, TABLE);
    set(driver, IMAN, 3);
    set(driver, USBCMD, RUN | INTERRUPTS);
}

static void add_command(Driver *driver, unsigned type, unsigned slot)
{
    write_block(driver, COMMANDS + 16 * driver->command++, 0, 0,
                slot << 24 | type << 10 | 1);
}

static void ring(Driver *driver)
{
    set(driver, DOORBELLS, 0);
}

/* Takes the next event: "COMPLETION CODE SLOT", or "" when there is none. */
static char *take_event(Driver *driver)
{
    uint64_t gpa = EVENTS + 16 * driver->event;
    uint32_t control = (uint32_t)kit_read(driver->kit, gpa + 12, 4);
    uint32_t status = (uint32_t)kit_read(driver->kit, gpa + 8, 4);

    if ((control & 1) != driver->cycle)
        return g_strdup("");
    if (++driver->event == N_EVENTS) {
        driver->event = 0;
        driver->cycle ^= 1;
    }
    return g_strdup_printf("%u %u %u", control >> 10 & 0x3f, status >> 24, control >> 24);
}

static void events_taken(Driver *driver)
{
    set_address(driver, ERDP, (EVENTS + 16 * driver->event) | BUSY);
}

/* One command and what came of it. */
static void assert_command(Driver *driver, unsigned type, unsigned slot,
                           const char *wanted)
{
    g_autofree char *got = NULL;

    add_command(driver, type, slot);
    ring(driver);
    got = take_event(driver);
    g_assert_cmpstr(got, ==, wanted);
    events_taken(driver);
}

static void test_registers_that_drivers_read(void)
{
    g_auto(Driver) driver = driver_new(", 'p2': 15, 'p3': 15");
    unsigned protocol;

    g_assert_cmphex(kit_pci_read(&driver.pci, 0, 4), ==, 0x000d1b36);
    g_assert_cmphex(kit_pci_read(&driver.pci, PCI_CLASS_REVISION, 4) >> 8, ==, 0x0c0330);
    g_assert_cmphex(kit_pci_read(&driver.pci, 0x60, 1), ==, 0x30);
    g_assert_cmphex(kit_pci_bar_size(&driver.pci, 0), ==, 0x4000);
    kit_pci_set_command(&driver.pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    g_assert_cmphex(kit_read(driver.kit, driver.bar, 1), ==, 0x40);
    g_assert_cmphex(kit_read(driver.kit, driver.bar + 2, 2), ==, 0x100);
    g_assert_cmphex(get(&driver, 0x04), ==, 30u << 24 | 1u << 8 | 64);
    g_assert_cmphex(get(&driver, 0x14), ==, DOORBELLS);
    g_assert_cmphex(get(&driver, 0x18), ==, RUNTIME);
    g_assert_cmphex(get(&driver, USBSTS), ==, HALTED);
    g_assert_cmphex(get(&driver, OPERATIONAL + 8), ==, 1);

    /* Extended capabilities: USB 2.0 on ports 1 to 15, USB 3.0 on 16 to 30. */
    protocol = (get(&driver, 0x10) >> 16) * 4;
    g_assert_cmphex(get(&driver, protocol) & 0xff0000ff, ==, 0x02000002);
    g_assert_cmphex(get(&driver, protocol + 8), ==, 15u << 8 | 1);
    protocol += (get(&driver, protocol) >> 8 & 0xff) * 4;
    g_assert_cmphex(get(&driver, protocol), ==, 0x03000002);
    g_assert_cmphex(get(&driver, protocol + 4), ==, 0x20425355);
    g_assert_cmphex(get(&driver, protocol + 8), ==, 15u << 8 | 16);

    /* Powered, no device, nothing changed; whatever is written. */
    for (unsigned port = 0; port < 30; port++) {
        set(&driver, PORTS + 16 * port, UINT32_MAX);
        g_assert_cmphex(get(&driver, PORTS + 16 * port) & 0x01fe3fff, ==, 0x2a0);
    }
    g_assert_cmphex(get(&driver, PORTS + 16 * 30), ==, 0);
}

static void test_commands_have_their_completions(void)
{
    g_auto(Driver) driver = driver_new("");

    driver_start(&driver);
    g_assert_cmphex(get(&driver, USBSTS), ==, 0);
    assert_command(&driver, NO_OP, 0, "33 1 0");
    assert_command(&driver, ENABLE_SLOT, 0, "33 1 1");
    assert_command(&driver, ENABLE_SLOT, 0, "33 1 2");
    assert_command(&driver, ADDRESS_DEVICE, 1, "33 4 1");
    assert_command(&driver, CONFIGURE, 2, "33 19 2");
    assert_command(&driver, RESET_DEVICE, 2, "33 19 2");
    assert_command(&driver, ADDRESS_DEVICE, 3, "33 11 3");
    assert_command(&driver, DISABLE_SLOT, 1, "33 1 1");
    assert_command(&driver, DISABLE_SLOT, 1, "33 11 1");
    assert_command(&driver, DISABLE_SLOT, 0, "33 11 0");
    assert_command(&driver, DISABLE_SLOT, 255, "33 11 255");
    assert_command(&driver, ENABLE_SLOT, 0, "33 1 1");
    for (unsigned slot = 3; slot <= 8; slot++) {
        g_autofree char *wanted = g_strdup_printf("33 1 %u", slot);

        assert_command(&driver, ENABLE_SLOT, 0, wanted);
    }
    assert_command(&driver, ENABLE_SLOT, 0, "33 9 0");
    assert_command(&driver, 1, 0, "33 5 0");
    assert_command(&driver, 63, 0, "33 5 0");
    g_assert_cmphex(get(&driver, CRCR), ==, 8);
}

static void test_ring_stops_and_goes_on(void)
{
    g_auto(Driver) driver = driver_new("");
    g_autofree char *stopped = NULL;

    driver_start(&driver);
    assert_command(&driver, NO_OP, 0, "33 1 0");
    assert_command(&driver, NO_OP, 0, "33 1 0");
    set(&driver, CRCR, 4);
    stopped = take_event(&driver);
    g_assert_cmpstr(stopped, ==, "33 24 0");
    g_assert_cmphex(kit_read(driver.kit, EVENTS + 16 * 2, 8), ==, COMMANDS + 32);
    events_taken(&driver);
    g_assert_cmphex(get(&driver, CRCR), ==, 0);
    assert_command(&driver, ENABLE_SLOT, 0, "33 1 1");
}

static void test_links_turn_the_cycle(void)
{
    g_auto(Driver) driver = driver_new("");
    g_autofree char *event = NULL;

    driver_start(&driver);
    assert_command(&driver, NO_OP, 0, "33 1 0");
    write_block(&driver, COMMANDS + 16, COMMANDS, 0, LINK << 10 | 2 | 1);
    write_block(&driver, COMMANDS, 0, 0, ENABLE_SLOT << 10);
    ring(&driver);
    event = take_event(&driver);
    g_assert_cmpstr(event, ==, "33 1 1");
}

static void test_events_wait_for_room(void)
{
    g_auto(Driver) driver = driver_new("");
    unsigned n = 0;

    driver_start(&driver);
    for (unsigned i = 0; i < 40; i++)
        add_command(&driver, NO_OP, 0);
    ring(&driver);
    for (;;) {
        g_autofree char *event = take_event(&driver);

        if (*event) {
            g_assert_cmpstr(event, ==, "33 1 0");
            n++;
        } else if (n == 40) {
            break;
        } else {
            /* One block stays empty. */
            g_assert_true(n == 15 || n == 30);
            events_taken(&driver);
        }
    }
    g_assert_cmphex(get(&driver, USBSTS) & ~EVENT_INTERRUPT, ==, 0);
}

static void test_interrupts_by_messages(void)
{
    g_auto(Driver) driver = driver_new("");

    kit_msix_program(&driver.pci, 0, MESSAGE);
    kit_msix_enable(&driver.pci, true);
    driver_start(&driver);
    add_command(&driver, NO_OP, 0);
    add_command(&driver, NO_OP, 0);
    ring(&driver);

    /* One for both: the guest has not said that it saw the first. */
    g_assert_cmpuint(kit_msix_count(driver.kit, MESSAGE), ==, 1);
    g_assert_cmphex(get(&driver, USBSTS), ==, EVENT_INTERRUPT);
    g_assert_cmphex(get(&driver, IMAN), ==, 2);
    g_assert_cmphex(get(&driver, ERDP) & BUSY, ==, BUSY);
    set(&driver, USBSTS, EVENT_INTERRUPT);
    g_assert_cmphex(get(&driver, USBSTS), ==, 0);

    /* It has taken one of them, so there is another. */
    driver.event = 1;
    events_taken(&driver);
    g_assert_cmpuint(kit_msix_count(driver.kit, MESSAGE), ==, 2);
    driver.event = 2;
    events_taken(&driver);
    g_assert_cmpuint(kit_msix_count(driver.kit, MESSAGE), ==, 2);

    set(&driver, IMAN, 1);
    add_command(&driver, NO_OP, 0);
    ring(&driver);
    g_assert_cmpuint(kit_msix_count(driver.kit, MESSAGE), ==, 2);
}

static bool pin_level(Driver *driver)
{
    unsigned slot = PCI_SLOT(driver->pci.devfn);

    return driver->kit->irq_levels[slot % BOARD_PCI_IRQS];
}

static void test_interrupts_by_the_pin(void)
{
    g_auto(Driver) driver = driver_new("");

    driver_start(&driver);
    g_assert_false(pin_level(&driver));
    add_command(&driver, NO_OP, 0);
    ring(&driver);
    g_assert_true(pin_level(&driver));
    set(&driver, IMAN, 3);
    g_assert_false(pin_level(&driver));
    add_command(&driver, NO_OP, 0);
    driver.event = 1;
    events_taken(&driver);
    ring(&driver);
    g_assert_true(pin_level(&driver));
    set(&driver, USBCMD, RESET);
    g_assert_false(pin_level(&driver));
}

/* What there is instead of a ring, and the error that comes of it. */
static void test_rings_that_are_none(void)
{
    static const struct {
        uint64_t commands;
        uint64_t table;
        uint64_t events;
        uint32_t n_events;
        uint32_t error;
    } cases[] = {
        { 0xb0000000, TABLE, EVENTS, 16, SYSTEM_ERROR },    /* registers */
        { 0xffffffffffffffc0, TABLE, EVENTS, 16, SYSTEM_ERROR },
        { KIT_RAM_SIZE, TABLE, EVENTS, 16, SYSTEM_ERROR },
        { COMMANDS, KIT_RAM_SIZE, EVENTS, 16, SYSTEM_ERROR },
        { COMMANDS, TABLE, KIT_RAM_SIZE, 16, SYSTEM_ERROR },
        { COMMANDS, TABLE, 0xffffffffffffffc0, 16, SYSTEM_ERROR },
        { COMMANDS, TABLE, EVENTS, 0, CONTROLLER_ERROR },
        { COMMANDS, TABLE, EVENTS, 15, CONTROLLER_ERROR },
        { COMMANDS, TABLE, EVENTS, 4097, CONTROLLER_ERROR },
    };
    g_auto(Driver) driver = driver_new("");

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        driver_start(&driver);
        set(&driver, USBCMD, 0);
        set_address(&driver, CRCR, cases[i].commands | 1);
        write_block(&driver, TABLE, cases[i].events, cases[i].n_events, 0);
        set_address(&driver, ERDP, cases[i].events);
        set_address(&driver, ERSTBA, cases[i].table);
        set(&driver, USBCMD, RUN);
        add_command(&driver, NO_OP, 0);
        ring(&driver);

        g_assert_cmphex(get(&driver, USBSTS), ==, HALTED | cases[i].error);
        ring(&driver);
        driver_start(&driver);
        assert_command(&driver, NO_OP, 0, "33 1 0");
    }
    /* The device may not reach memory. */
    kit_pci_set_command(&driver.pci, PCI_COMMAND_MEMORY);
    ring(&driver);
    g_assert_cmphex(get(&driver, USBSTS) & SYSTEM_ERROR, ==, SYSTEM_ERROR);
}

static void test_ring_of_links_alone(void)
{
    g_auto(Driver) driver = driver_new("");

    driver_start(&driver);
    write_block(&driver, COMMANDS, COMMANDS, 0, LINK << 10 | 1);
    ring(&driver);

    g_assert_cmphex(get(&driver, USBSTS), ==, HALTED | CONTROLLER_ERROR);
    g_assert_cmphex(get(&driver, CRCR), ==, 0);
}

static void test_any_access(void)
{
    g_auto(Driver) driver = driver_new(", 'p2': 1, 'p3': 1");
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    static const unsigned sizes[] = { 1, 2, 4, 8 };

    for (unsigned i = 0; i < 200000; i++) {
        uint64_t at = driver.bar + g_rand_int_range(random, 0, 0x4000);
        unsigned size = sizes[g_rand_int_range(random, 0, 4)];

        if (g_rand_boolean(random))
            kit_read(driver.kit, at, size);
        else
            kit_write(driver.kit, at, size, (uint64_t)g_rand_int(random) << 32 |
                                         g_rand_int(random));
        if (i % 1000 == 0)
            driver_start(&driver);
    }
    driver_start(&driver);
    assert_command(&driver, NO_OP, 0, "33 1 0");
}

static void test_state_is_copied(void)
{
    g_auto(Driver) from = driver_new("");
    g_auto(Driver) to = driver_new("");
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GByteArray) again = NULL;
    g_autoptr(GError) error = NULL;

    driver_start(&from);
    assert_command(&from, ENABLE_SLOT, 0, "33 1 1");
    device_tree_pause(&from.kit->tree);
    device_tree_pause(&to.kit->tree);
    saved = kit_save(from.kit);
    g_assert_true(device_tree_load(&to.kit->tree, saved->data, saved->len, &error));
    g_assert_no_error(error);
    again = kit_save(to.kit);

    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
}

/* Each byte in turn has another value: what is loaded harms nobody. */
static void test_state_that_is_hostile(void)
{
    g_auto(Driver) driver = driver_new("");
    g_autoptr(GByteArray) saved = NULL;

    driver_start(&driver);
    assert_command(&driver, ENABLE_SLOT, 0, "33 1 1");
    device_tree_pause(&driver.kit->tree);
    saved = kit_save(driver.kit);
    for (guint i = 0; i < saved->len; i++) {
        g_autofree uint8_t *bytes = g_memdup2(saved->data, saved->len);

        bytes[i] ^= 0xff;
        if (!device_tree_load(&driver.kit->tree, bytes, saved->len, NULL))
            continue;
        device_tree_resume(&driver.kit->tree);
        ring(&driver);
        events_taken(&driver);
        device_tree_pause(&driver.kit->tree);
    }
}

static void test_properties(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_assert_refused(kit, "{'driver': 'qemu-xhci', 'p2': 16}", "p2");
    kit_assert_refused(kit, "{'driver': 'qemu-xhci', 'p3': 0}", "p3");
    kit_assert_refused(kit, "{'driver': 'qemu-xhci', 'wheels': 4}", "wheels");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xhci/registers-that-drivers-read",
                    test_registers_that_drivers_read);
    g_test_add_func("/xhci/commands-have-their-completions",
                    test_commands_have_their_completions);
    g_test_add_func("/xhci/ring-stops-and-goes-on", test_ring_stops_and_goes_on);
    g_test_add_func("/xhci/links-turn-the-cycle", test_links_turn_the_cycle);
    g_test_add_func("/xhci/events-wait-for-room", test_events_wait_for_room);
    g_test_add_func("/xhci/interrupts-by-messages", test_interrupts_by_messages);
    g_test_add_func("/xhci/interrupts-by-the-pin", test_interrupts_by_the_pin);
    g_test_add_func("/xhci/rings-that-are-none", test_rings_that_are_none);
    g_test_add_func("/xhci/ring-of-links-alone", test_ring_of_links_alone);
    g_test_add_func("/xhci/any-access", test_any_access);
    g_test_add_func("/xhci/state-is-copied", test_state_is_copied);
    g_test_add_func("/xhci/state-that-is-hostile", test_state_that_is_hostile);
    g_test_add_func("/xhci/properties", test_properties);
    return g_test_run();
}
