/* SPDX-License-Identifier: Apache-2.0 */
/* What clients do at the keyboard and the mouse, as the guest's ports show it. */
#include <string.h>

#include "berth/error.h"
#include "berth/i8042.h"
#include "berth/qmp.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#include "qmp-commands.h"

#include "machine-bench.h"

#define DATA 0x60
#define STATUS 0x64
#define HELD(keys, ms) "{\"keys\": [" keys "], \"hold-time\": " #ms "}"
#define KEYS(keys) HELD(keys, 0)
#define QCODE(name) "{\"type\": \"qcode\", \"data\": \"" name "\"}"
#define NUMBER(n) "{\"type\": \"number\", \"data\": " #n "}"
#define EVENTS(events) "{\"events\": [" events "]}"
#define KEY(name, down) \
    "{\"type\": \"key\", \"data\": {\"key\": " QCODE(name) ", \"down\": " #down "}}"
#define BUTTON(name, down) \
    "{\"type\": \"btn\", \"data\": {\"button\": \"" name "\", \"down\": " #down "}}"
#define MOVE(axis, n) \
    "{\"type\": \"rel\", \"data\": {\"axis\": \"" axis "\", \"value\": " #n "}}"

typedef struct Rig {
    MachineBench bench;
    QmpContext ctx;
} Rig;

static void rig_init(Rig *rig, const char *machine)
{
    char *const words[] = {
        (char *)"berth", (char *)"-machine", (char *)machine, (char *)"-nodefaults",
        (char *)"-m", (char *)"64", (char *)"-kernel",
        (char *)"tests/fuzz/seeds/kernel/elf64",
    };
    g_autoptr(GError) error = NULL;

    machine_bench_init(&rig->bench, words, G_N_ELEMENTS(words), &error);
    g_assert_no_error(error);
    machine_bench_make(&rig->bench, vm_fake_new(), &error);
    g_assert_no_error(error);
    g_assert_true(machine_start(rig->bench.machine, &error));
    rig->ctx = (QmpContext) {
        .machine = rig->bench.machine,
        .tree = &rig->bench.machine->tree,
    };
}

static void rig_done(Rig *rig)
{
    machine_bench_done(&rig->bench);
}

static void out(Rig *rig, uint16_t port, uint8_t value)
{
    vm_fake_write(rig->bench.machine->vm, rig->bench.machine->io, port, 1, value);
}

static uint8_t in(Rig *rig, uint16_t port)
{
    return vm_fake_read(rig->bench.machine->vm, rig->bench.machine->io, port, 1);
}

/* The guest's driver: both are on, scan codes are translated, the mouse has a wheel. */
static void start_driver(Rig *rig)
{
    static const uint8_t to_mouse[] = { 0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf4 };

    out(rig, STATUS, 0x60);
    out(rig, DATA, 0x47);
    for (size_t i = 0; i < sizeof(to_mouse); i++) {
        out(rig, STATUS, 0xd4);
        out(rig, DATA, to_mouse[i]);
        in(rig, DATA);
    }
}

static void check_bytes(Rig *rig, const char *expected)
{
    g_autoptr(GString) found = g_string_new(NULL);

    while (in(rig, STATUS) & 1)
        g_string_append_printf(found, "%s%02x", found->len ? " " : "", in(rig, DATA));
    g_assert_cmpstr(found->str, ==, expected);
}

static bool send_key(Rig *rig, const char *json, GError **error)
{
    g_autoptr(SendKeyArgs) args = qapi_parse_json(QAPI_TYPE_SEND_KEY_ARGS, json, error);

    return args && qmp_send_key(&rig->ctx, args, error);
}

static bool send_event(Rig *rig, const char *json, GError **error)
{
    g_autoptr(InputSendEventArgs) args =
        qapi_parse_json(QAPI_TYPE_INPUT_SEND_EVENT_ARGS, json, error);

    return args && qmp_input_send_event(&rig->ctx, args, error);
}

/* What is sent, and what the guest then reads. */
typedef struct Case {
    const char *json, *bytes;
} Case;

static void check_cases(bool (*send)(Rig *rig, const char *json, GError **error),
                        const Case *cases, size_t n)
{
    Rig rig;

    rig_init(&rig, "q35");
    start_driver(&rig);
    for (size_t i = 0; i < n; i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", cases[i].json);
        send(&rig, cases[i].json, &error);
        g_assert_no_error(error);
        check_bytes(&rig, cases[i].bytes);
    }
    rig_done(&rig);
}

static void test_keys(void)
{
    static const Case cases[] = {
        { KEYS(QCODE("ctrl") "," QCODE("alt") "," QCODE("delete")),
          "1d 38 e0 53 e0 d3 b8 9d" },
        { KEYS(QCODE("a")), "1e 9e" },
        { KEYS(NUMBER(30)), "1e 9e" },
        { KEYS(NUMBER(200)), "e0 48 e0 c8" },
        { KEYS(QCODE("sysrq")), "e0 2a e0 37 e0 b7 e0 aa" },
        { KEYS(QCODE("alt") "," QCODE("print")), "38 54 d4 b8" },
        { KEYS(QCODE("f24")), "76 f6" },
        { KEYS(QCODE("audiomute")), "e0 20 e0 a0" },
        { KEYS(""), "" },
    };

    check_cases(send_key, cases, G_N_ELEMENTS(cases));
}

/* Every name is a key, but for those of other keyboards. */
static void test_each_name_is_a_key(void)
{
    unsigned n_keys = 0;
    Rig rig;

    rig_init(&rig, "q35");
    start_driver(&rig);
    for (unsigned i = 0; i < Q_KEY_CODE__MAX; i++) {
        g_autofree char *json = g_strdup_printf(KEYS(QCODE("%s")), QKeyCode_str(i));
        unsigned n = 0;

        if (!send_key(&rig, json, NULL))
            continue;
        for (; in(&rig, STATUS) & 1; n++)
            in(&rig, DATA);
        g_assert_cmpuint(n, >=, 2);
        n_keys++;
    }
    g_assert_cmpuint(n_keys, ==, Q_KEY_CODE__MAX - 13);
    rig_done(&rig);
}

/* One after the other, in the machine's time. */
static void test_keys_are_held(void)
{
    Machine *machine;
    Rig rig;

    rig_init(&rig, "q35");
    machine = rig.bench.machine;
    start_driver(&rig);
    g_assert_true(send_key(&rig, HELD(QCODE("a"), 20), NULL));
    check_bytes(&rig, "1e");
    runstate_stop(&machine->run, RUN_STATE_PAUSED);
    g_usleep(30000);
    loop_turn(machine->loop, false);
    check_bytes(&rig, "");                      /* its time stands still */
    g_assert_true(send_key(&rig, KEYS(QCODE("b")), NULL));
    g_assert_true(runstate_start(&machine->run, NULL));
    while (!(in(&rig, STATUS) & 1))
        loop_turn(machine->loop, true);
    check_bytes(&rig, "9e");
    while (!(in(&rig, STATUS) & 1))
        loop_turn(machine->loop, true);
    check_bytes(&rig, "30 b0");
    rig_done(&rig);
}

static void test_events(void)
{
    static const Case cases[] = {
        { EVENTS(KEY("a", true)), "1e" },
        { EVENTS(KEY("a", false) "," KEY("b", true)), "9e 30" },
        { EVENTS(MOVE("x", 3) "," MOVE("y", 2) "," MOVE("x", 1)), "28 04 fe 00" },
        { EVENTS(MOVE("x", 1) "," BUTTON("left", true) "," MOVE("y", -1) ","
                 BUTTON("left", false)),
          "08 01 00 00 09 00 00 00 09 00 01 00 08 00 00 00" },
        { EVENTS(BUTTON("wheel-up", true) "," BUTTON("wheel-up", false)), "08 00 00 ff" },
        { EVENTS(BUTTON("wheel-down", true)), "08 00 00 01" },
        { EVENTS(MOVE("x", 9223372036854775807) "," MOVE("x", -9223372036854775807)),
          "" },
        { EVENTS(BUTTON("right", true) "," BUTTON("middle", true)),
          "0a 00 00 00 0e 00 00 00" },
        { EVENTS(""), "" },
    };

    check_cases(send_event, cases, G_N_ELEMENTS(cases));
}

static void test_what_cannot_happen(void)
{
    static const struct {
        bool (*send)(Rig *rig, const char *json, GError **error);
        const char *json, *error;
    } cases[] = {
        { send_key, KEYS(QCODE("unmapped")), "*'unmapped'*" },
        { send_key, KEYS(QCODE("a") "," QCODE("help")), "*'help'*" },
        { send_key, KEYS(NUMBER(0)), "*key 0,*" },
        { send_key, KEYS(NUMBER(-1)), "*key -1,*" },
        { send_key, KEYS(NUMBER(256)), "*key 256,*" },
        { send_key, "{\"keys\": [], \"hold-time\": -1}", "*hold-time*" },
        { send_event, EVENTS("{\"type\": \"abs\", \"data\": {\"axis\": \"x\", "
                             "\"value\": 1}}"), "*'abs'*" },
        { send_event, EVENTS(KEY("a", true) "," KEY("stop", true)), "*'stop'*" },
        { send_event, EVENTS(BUTTON("wheel-left", true)), "*'wheel-left'*" },
        { send_event, "{\"device\": \"video0\", \"events\": []}", "*'video0'*" },
    };
    g_autoptr(GString) many = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    Rig rig;

    rig_init(&rig, "q35");
    start_driver(&rig);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) failure = NULL;

        g_test_message("%s", cases[i].json);
        g_assert_false(cases[i].send(&rig, cases[i].json, &failure));
        g_assert_true(g_pattern_match_simple(cases[i].error, failure->message));
        check_bytes(&rig, "");                  /* nor what stands before it */
    }
    for (int i = 0; i < 300; i++)
        g_string_append_printf(many, "%s" QCODE("a"), i ? "," : "");
    g_string_prepend(many, "{\"keys\": [");
    g_string_append(many, "]}");
    g_assert_true(send_key(&rig, many->str, NULL));
    g_assert_false(send_key(&rig, many->str, &error));
    g_assert_true(g_pattern_match_simple("300 keys are too many: *", error->message));
    runstate_stop(&rig.bench.machine->run, RUN_STATE_PAUSED);
    g_assert_false(send_event(&rig, EVENTS(KEY("a", true)), NULL));
    rig_done(&rig);
}

static void test_machine_without(void)
{
    Rig rig;

    rig_init(&rig, "q35,i8042=off");

    g_assert_false(send_key(&rig, KEYS(QCODE("a")), NULL));
    g_assert_false(send_event(&rig, EVENTS(MOVE("x", 1)), NULL));
    {
        g_autoptr(MouseInfoList) mice = qmp_query_mice(&rig.ctx, NULL);

        g_assert_cmpuint(mice->n, ==, 0);
    }
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/input/keys", test_keys);
    g_test_add_func("/input/each-name-is-a-key", test_each_name_is_a_key);
    g_test_add_func("/input/keys-are-held", test_keys_are_held);
    g_test_add_func("/input/events", test_events);
    g_test_add_func("/input/what-cannot-happen", test_what_cannot_happen);
    g_test_add_func("/input/machine-without", test_machine_without);
    return g_test_run();
}
