/* SPDX-License-Identifier: Apache-2.0 */
/* The rates of events that a guest can cause at will. */
#include <string.h>

#include "berth/timer.h"
#include "qapi-events.h"

#define PERIOD_NS (30 * NS_PER_MS)

typedef struct Fixture {
    Loop *loop;
    QmpEvents *events;
    QmpSession session;
    GString *got;               /* "a+ b-": id and state */
    int64_t last_ns;
} Fixture;

static void on_send(void *opaque, const char *text, size_t size)
{
    Fixture *f = opaque;
    g_autoptr(JsonValue) event = json_parse_text(text, size, NULL);
    const JsonValue *data = json_member(event, "data");

    g_string_append_printf(f->got, "%s%s%c", f->got->len ? " " : "",
                           json_as_string(json_member(data, "id")),
                           json_as_bool(json_member(data, "open")) ? '+' : '-');
    f->last_ns = loop_clock_ns();
}

static const QmpSessionOps ops = { .send = on_send, .take_fd = NULL };

static void set_up(Fixture *f, gconstpointer unused)
{
    f->loop = loop_new("main", THREAD_MAIN, NULL);
    f->events = qmp_events_new();
    f->session = (QmpSession) { .ops = &ops, .opaque = f };
    f->got = g_string_new(NULL);
    qmp_events_limit_rates(f->events, f->loop, PERIOD_NS);
    qmp_events_subscribe(f->events, &f->session);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    list_remove(&f->session.node);
    qmp_events_free(f->events);
    g_string_free(f->got, TRUE);
    loop_free(f->loop);
}

static void tell(Fixture *f, const char *id, bool open)
{
    VserportChangeEvent event = { .id = (char *)id, .open = open };

    qapi_event_vserport_change(f->events, &event);
}

/* Until no period is under way, in which something may still come. */
static void run(Fixture *f, const char *expected)
{
    int64_t end_ns = loop_clock_ns() + 20 * NS_PER_SEC;
    int64_t quiet_ns = loop_clock_ns() + 3 * PERIOD_NS;
    size_t size = strlen(expected);

    while (f->got->len < size || loop_clock_ns() < quiet_ns) {
        g_assert_cmpint(loop_clock_ns(), <, end_ns);
        g_usleep(1000);
        loop_turn(f->loop, false);
    }
    /* What is due by then is done, however long this thread was kept waiting. */
    loop_turn(f->loop, false);
    g_assert_cmpstr(f->got->str, ==, expected);
}

static void test_the_last_state_is_told_after_the_period(Fixture *f, gconstpointer unused)
{
    int64_t begin_ns = loop_clock_ns();

    tell(f, "a", true);
    for (int i = 0; i < 1000; i++)
        tell(f, "a", i % 2);
    tell(f, "a", false);
    g_assert_cmpstr(f->got->str, ==, "a+");

    run(f, "a+ a-");

    g_assert_cmpint(f->last_ns - begin_ns, >=, PERIOD_NS);
}

static void test_subjects_have_a_rate_each(Fixture *f, gconstpointer unused)
{
    tell(f, "a", true);
    tell(f, "b", true);
    tell(f, "a", false);
    tell(f, "b", false);
    g_assert_cmpstr(f->got->str, ==, "a+ b+");

    run(f, "a+ b+ a- b-");
}

static void test_a_period_passes_after_a_late_one_too(Fixture *f, gconstpointer unused)
{
    tell(f, "a", true);
    tell(f, "a", false);
    while (f->got->len < strlen("a+ a-"))
        loop_turn(f->loop, true);
    tell(f, "a", true);
    g_assert_cmpstr(f->got->str, ==, "a+ a-");

    run(f, "a+ a- a+");
}

static void test_after_a_quiet_period_it_is_told_at_once(Fixture *f, gconstpointer unused)
{
    tell(f, "a", true);
    run(f, "a+");

    tell(f, "a", false);

    g_assert_cmpstr(f->got->str, ==, "a+ a-");
}

/* What waits is freed with the rest; a leak checker looks. */
static void test_the_end_while_one_waits(Fixture *f, gconstpointer unused)
{
    tell(f, "a", true);
    tell(f, "a", false);
    tell(f, "a", true);

    g_assert_cmpstr(f->got->str, ==, "a+");
}

static void add(const char *path, void (*fn)(Fixture *f, gconstpointer unused))
{
    g_test_add(path, Fixture, NULL, set_up, fn, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/qmp-events/last-state", test_the_last_state_is_told_after_the_period);
    add("/qmp-events/subjects", test_subjects_have_a_rate_each);
    add("/qmp-events/late", test_a_period_passes_after_a_late_one_too);
    add("/qmp-events/quiet", test_after_a_quiet_period_it_is_told_at_once);
    add("/qmp-events/end", test_the_end_while_one_waits);
    return g_test_run();
}
