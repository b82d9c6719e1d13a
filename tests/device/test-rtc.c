/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "berth/irq.h"
#include "berth/rtc.h"
#include "berth/timer.h"

#include "fake-board.h"

#define INDEX 0x70
#define DATA 0x71
#define REG_A 10
#define REG_B 11
#define REG_C 12
#define REG_D 13
#define RTC_IRQ 8

static const RtcConfig config = { .low_ram = 2 * GIB, .high_ram = 6 * GIB };

static FakeBoard *new_board(void)
{
    FakeBoard *fake = fake_board_new();

    g_assert_nonnull(rtc_add(&fake->tree, &config, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    return fake;
}

static uint8_t get(FakeBoard *fake, uint8_t reg)
{
    fake_board_out(fake, INDEX, 1, reg);
    return fake_board_in(fake, DATA, 1);
}

static void put(FakeBoard *fake, uint8_t reg, uint8_t value)
{
    fake_board_out(fake, INDEX, 1, reg);
    fake_board_out(fake, DATA, 1, value);
}

static unsigned from_bcd(uint8_t value)
{
    return (value >> 4) * 10 + (value & 15);
}

/*
 * Writes BCD registers as Linux does, with SET and the divider's reset: the next second
 * begins half a second later.
 */
static void set_clock(FakeBoard *fake, unsigned date, unsigned time_of_day)
{
    put(fake, REG_B, 0x82);
    put(fake, REG_A, 0x76);
    put(fake, 0, time_of_day & 0xff);
    put(fake, 2, time_of_day >> 8 & 0xff);
    put(fake, 4, time_of_day >> 16 & 0xff);
    put(fake, 7, date & 0xff);
    put(fake, 8, date >> 8 & 0xff);
    put(fake, 9, date >> 16 & 0xff);
    put(fake, 0x32, date >> 24);
    put(fake, REG_B, 0x02);
    put(fake, REG_A, 0x26);
}

static unsigned clock_date(FakeBoard *fake)
{
    return get(fake, 0x32) << 24 | get(fake, 9) << 16 | get(fake, 8) << 8 | get(fake, 7);
}

static unsigned clock_time(FakeBoard *fake)
{
    return get(fake, 4) << 16 | get(fake, 2) << 8 | get(fake, 0);
}

static void test_tells_the_hosts_time(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    struct tm tm = { 0 };
    time_t now = time(NULL);

    tm.tm_sec = from_bcd(get(fake, 0));
    tm.tm_min = from_bcd(get(fake, 2));
    tm.tm_hour = from_bcd(get(fake, 4));
    tm.tm_mday = from_bcd(get(fake, 7));
    tm.tm_mon = from_bcd(get(fake, 8)) - 1;
    tm.tm_year = from_bcd(get(fake, 0x32)) * 100 + from_bcd(get(fake, 9)) - 1900;

    g_assert_cmpint(ABS(timegm(&tm) - now), <=, 1);
    g_assert_cmphex(get(fake, REG_D), ==, 0x80);
    g_assert_cmphex(get(fake, REG_A) & 0x7f, ==, 0x26);
    g_assert_cmphex(fake_board_in(fake, INDEX, 1), ==, 0xff);
}

static void test_local_time_is_an_offset(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();
    RtcConfig local = { .base = RTC_BASE_LOCAL, .low_ram = MIB };
    struct tm tm;
    time_t now;

    g_setenv("TZ", "TST-5:30", true);
    tzset();
    rtc_add(&fake->tree, &local, NULL);
    do {
        now = time(NULL);
        localtime_r(&now, &tm);
    } while (from_bcd(get(fake, 2)) != (unsigned)tm.tm_min && time(NULL) != now);

    g_assert_cmpuint(from_bcd(get(fake, 4)), ==, tm.tm_hour);
    g_assert_cmpuint(from_bcd(get(fake, 2)), ==, tm.tm_min);
    g_unsetenv("TZ");
    tzset();
}

static void test_a_time_that_is_set_goes_on(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    set_clock(fake, 0x20240228, 0x235959);
    g_assert_cmphex(clock_date(fake), ==, 0x20240228);
    g_assert_cmphex(clock_time(fake), ==, 0x235959);
    g_usleep(510000);

    g_assert_cmphex(clock_date(fake), ==, 0x20240229);
    g_assert_cmphex(clock_time(fake), ==, 0x000000);
    g_assert_cmphex(get(fake, 6), ==, 5);       /* a Thursday */
}

/* Whatever is set, what goes on from there is a date of the calendar. */
static void test_dates_that_cannot_be(void)
{
    static const struct { unsigned date, time; } wrong[] = {
        { 0x20240000, 0x000000 }, { 0x20240032, 0x000000 }, { 0x20240230, 0x235959 },
        { 0x20241301, 0x000000 }, { 0x2024ff01, 0x000000 }, { 0x20240101, 0x990000 },
        { 0x20240101, 0x009999 }, { 0x00000000, 0x000000 }, { 0x99991231, 0x235959 },
        { 0xffffffff, 0xffffff }, { 0x19000101, 0x000000 }, { 0xaaaaaaaa, 0xaaaaaa },
    };
    g_autoptr(FakeBoard) fake = new_board();

    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        for (unsigned mode = 0; mode < 8; mode += 2) {
            unsigned month, day;

            set_clock(fake, wrong[i].date, wrong[i].time);
            put(fake, REG_B, 0x70 | mode);      /* all interrupts, each format */
            fake_board_turn(fake);
            get(fake, REG_C);
            put(fake, REG_B, 0x02);
            put(fake, REG_A, 0x26);
            month = from_bcd(get(fake, 8));
            day = from_bcd(get(fake, 7));
            g_assert_true(month >= 1 && month <= 12);
            g_assert_true(day >= 1 && day <= 31);
            g_assert_cmpuint(from_bcd(get(fake, 4)), <, 24);
            g_assert_cmpuint(from_bcd(get(fake, 2)), <, 60);
            g_assert_cmpuint(from_bcd(get(fake, 0)), <, 60);
        }
    }
    set_clock(fake, 0x20240102, 0x101010);
    g_assert_cmphex(clock_date(fake), ==, 0x20240102);
}

static void test_set_stops_the_clock(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    put(fake, REG_B, 0x82);
    put(fake, 0, 0x30);
    put(fake, 2, 0x99);
    g_usleep(1010000);

    g_assert_cmphex(get(fake, 0), ==, 0x30);
    g_assert_cmphex(get(fake, 2), ==, 0x99);
}

static void test_first_update_is_half_a_second_after_divider_reset(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    gint64 start, end;

    /* A host that is busy may be late, but not each time. */
    for (unsigned i = 0; i < 5; i++) {
        put(fake, REG_A, 0x76);
        put(fake, 0, 0x10);
        put(fake, REG_A, 0x26);
        start = g_get_monotonic_time();
        while (get(fake, 0) == 0x10)
            continue;
        end = g_get_monotonic_time();
        g_assert_cmpint(end - start, >, 490000);
        if (end - start < 900000)
            break;
    }

    g_assert_cmpint(end - start, <, 900000);
}

static void test_binary_and_12_hour_modes(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    set_clock(fake, 0x20240102, 0x133000);
    put(fake, REG_B, 0x00);
    g_assert_cmphex(get(fake, 4), ==, 0x81);
    put(fake, REG_B, 0x04);
    g_assert_cmphex(get(fake, 4), ==, 0x81);
    g_assert_cmpuint(get(fake, 2), ==, 30);
    put(fake, REG_B, 0x06);
    g_assert_cmpuint(get(fake, 4), ==, 13);

    set_clock(fake, 0x20240102, 0x003000);
    put(fake, REG_B, 0x00);
    g_assert_cmphex(get(fake, 4), ==, 0x12);
    put(fake, REG_B, 0x80);
    put(fake, 4, 0x92);                         /* 12 PM is noon */
    put(fake, REG_B, 0x00);
    put(fake, REG_B, 0x02);
    g_assert_cmphex(get(fake, 4), ==, 0x12);
}

static void test_periodic_interrupt_keeps_its_rate(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    gint64 start = g_get_monotonic_time();
    gint64 elapsed = 0;
    unsigned n = 0;

    put(fake, REG_A, 0x29);                     /* 128 Hz */
    put(fake, REG_B, 0x42);
    while (n < 32 && elapsed < 20 * G_TIME_SPAN_SECOND) {
        fake_board_turn(fake);
        if (vm_fake_gsi_level(fake->vm, RTC_IRQ)) {
            g_assert_cmphex(get(fake, REG_C) & 0xc0, ==, 0xc0);
            g_assert_false(vm_fake_gsi_level(fake->vm, RTC_IRQ));
            n++;
        }
        elapsed = g_get_monotonic_time() - start;
        g_usleep(500);
    }

    /* A busy host may be late with some of them; never early. */
    g_assert_cmpuint(n, ==, 32);
    g_assert_cmpint(elapsed, >=, 31 * G_TIME_SPAN_SECOND / 128);
}

static void test_without_acknowledgement_there_is_one_interrupt(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    put(fake, REG_A, 0x23);                     /* 8192 Hz */
    put(fake, REG_B, 0x42);
    for (unsigned i = 0; i < 20; i++) {
        g_usleep(1000);
        fake_board_turn(fake);
    }

    g_assert_cmpuint(vm_fake_gsi_edges(fake->vm, RTC_IRQ), ==, 1);
}

static void test_update_interrupt_comes_with_the_second(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    gint64 end = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;
    uint8_t second;

    set_clock(fake, 0x20240102, 0x101010);
    get(fake, REG_C);
    put(fake, REG_B, 0x12);
    second = get(fake, 0);
    while (!vm_fake_gsi_level(fake->vm, RTC_IRQ) && g_get_monotonic_time() < end) {
        g_usleep(1000);
        fake_board_turn(fake);
    }

    g_assert_true(vm_fake_gsi_level(fake->vm, RTC_IRQ));
    g_assert_cmphex(get(fake, 0), ==, second + 1);
    g_assert_cmphex(get(fake, REG_C) & 0x90, ==, 0x90);
}

static void test_alarm_rings_at_its_time(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    gint64 start = g_get_monotonic_time();

    set_clock(fake, 0x20240102, 0x235959);
    put(fake, 1, 0x00);
    put(fake, 3, 0x00);
    put(fake, 5, 0x00);
    put(fake, REG_B, 0x22);
    while (!vm_fake_gsi_level(fake->vm, RTC_IRQ) &&
           g_get_monotonic_time() < start + 20 * G_TIME_SPAN_SECOND) {
        g_usleep(1000);
        fake_board_turn(fake);
    }

    g_assert_true(vm_fake_gsi_level(fake->vm, RTC_IRQ));
    g_assert_cmpint(g_get_monotonic_time() - start, >, 490000);
    g_assert_cmphex(clock_time(fake), ==, 0x000000);
    g_assert_cmphex(get(fake, REG_C) & 0xa0, ==, 0xa0);
}

static void on_alarm(void *opaque, unsigned n, bool level)
{
    unsigned *rises = opaque;

    *rises += level;
}

/* What is told apart from the interrupt: alarms alone, and in sleep too. */
static void test_alarm_has_a_line(void)
{
    FakeBoard *fake = fake_board_new();
    unsigned rises = 0;
    RtcConfig with_line = config;
    g_autoptr(GByteArray) saved = g_byte_array_new();
    IrqLine line;

    irq_line_init(&line, on_alarm, &rises, 0);
    with_line.alarm = &line;
    g_assert_nonnull(rtc_add(&fake->tree, &with_line, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    for (unsigned reg = 1; reg <= 5; reg += 2)
        put(fake, reg, 0xc0);
    put(fake, REG_B, 0x12);
    get(fake, REG_C);
    while (!vm_fake_gsi_level(fake->vm, RTC_IRQ))
        loop_turn(fake->loop, true);
    g_assert_cmpuint(rises, ==, 0);

    put(fake, REG_B, 0x02);
    get(fake, REG_C);
    put(fake, REG_B, 0x22);
    device_tree_pause(&fake->tree);
    device_tree_suspend(&fake->tree);
    device_tree_resume(&fake->tree);
    fake_board_wait(fake, &rises, 20000);
    g_assert_cmpuint(rises, ==, 1);
    g_assert_cmphex(get(fake, REG_B), ==, 0x22);

    /* Its edge is not seen again for another interrupt, nor when the state is loaded. */
    put(fake, REG_B, 0x32);
    device_tree_pause(&fake->tree);
    device_tree_save(&fake->tree, saved);
    g_assert_true(device_tree_load(&fake->tree, saved->data, saved->len, NULL));
    device_tree_resume(&fake->tree);
    put(fake, REG_B, 0x22);
    g_assert_cmpuint(rises, ==, 1);
    rises = 0;
    get(fake, REG_C);
    fake_board_wait(fake, &rises, 20000);
    g_assert_cmpuint(rises, ==, 1);

    fake_board_free(fake);
}

/* The time jumps over the alarm's: the flag is set all the same, without a timer. */
static void test_flags_show_what_went_by(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    set_clock(fake, 0x20240102, 0x120000);
    put(fake, 1, 0xff);
    put(fake, 3, 0xff);
    put(fake, 5, 0xff);
    get(fake, REG_C);
    g_usleep(510000);

    g_assert_cmphex(get(fake, REG_C), ==, 0x70);
    g_assert_false(vm_fake_gsi_level(fake->vm, RTC_IRQ));
}

static void on_end(void *opaque)
{
    bool *ended = opaque;

    *ended = true;
}

static void test_idle_clock_wakes_nobody(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    bool ended = false;
    unsigned turns = 0;
    Timer timer;

    get(fake, REG_C);
    put(fake, REG_B, 0x02);
    fake_board_turn(fake);
    timer_init(&timer, fake->loop, on_end, &ended);
    timer_set(&timer, loop_clock_ns() + 1200 * NS_PER_MS);
    while (!ended) {
        loop_turn(fake->loop, true);
        turns++;
    }

    g_assert_cmpuint(turns, <=, 2);
}

static void test_memory_size_is_told(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    g_assert_cmphex(get(fake, 0x15) | get(fake, 0x16) << 8, ==, 640);
    g_assert_cmphex(get(fake, 0x17) | get(fake, 0x18) << 8, ==, 0xffff);
    g_assert_cmphex(get(fake, 0x30) | get(fake, 0x31) << 8, ==, 0xffff);
    g_assert_cmphex(get(fake, 0x34) | get(fake, 0x35) << 8, ==, 0x7f00);
    g_assert_cmphex(get(fake, 0x5b) | get(fake, 0x5c) << 8 | get(fake, 0x5d) << 16, ==,
                    6 * GIB / (64 * KIB));
}

static void test_both_banks_are_memory(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    for (unsigned i = 0; i < 128; i++) {
        fake_board_out(fake, 0x72, 1, i);
        fake_board_out(fake, 0x73, 1, i ^ 0x5a);
    }
    put(fake, 0x7f, 0x77);

    for (unsigned i = 0; i < 128; i++) {
        fake_board_out(fake, 0x72, 1, i);
        g_assert_cmphex(fake_board_in(fake, 0x73, 1), ==, i ^ 0x5a);
    }
    g_assert_cmphex(get(fake, 0x7f), ==, 0x77);
}

static void test_reset_disables_interrupts_and_keeps_the_time(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    set_clock(fake, 0x19991231, 0x115000);
    put(fake, 0x40, 0x99);
    put(fake, REG_B, 0x72);
    device_tree_pause(&fake->tree);
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);

    g_assert_cmphex(get(fake, REG_B), ==, 0x02);
    g_assert_cmphex(get(fake, 0x40), ==, 0x99);
    g_assert_cmphex(clock_date(fake), ==, 0x19991231);
    g_assert_cmphex(clock_time(fake) & 0xffff00, ==, 0x115000);
}

static FakeBoard *new_board_with(RtcConfig with)
{
    FakeBoard *fake = fake_board_new();

    g_assert_nonnull(rtc_add(&fake->tree, &with, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    return fake;
}

/* The guest's time in seconds, as clients read it. */
static int64_t date(FakeBoard *fake)
{
    struct tm tm;

    rtc_get_date(rtc_find(&fake->tree), &tm);
    return timegm(&tm);
}

static void test_time_begins_where_it_was_told(void)
{
    static const RtcClock clocks[] = { RTC_CLOCK_HOST, RTC_CLOCK_RT, RTC_CLOCK_VM };

    for (unsigned i = 0; i < G_N_ELEMENTS(clocks); i++) {
        g_autoptr(FakeBoard) fake = new_board_with((RtcConfig) {
            .base = RTC_BASE_START, .start = 1709164799, .clock = clocks[i],
        });

        g_assert_cmphex(clock_date(fake), ==, 0x20240228);
        g_assert_cmphex(clock_time(fake), ==, 0x235959);
        g_assert_cmpint(date(fake), ==, 1709164799);
        g_usleep(1010000);
        g_assert_cmphex(clock_date(fake), ==, 0x20240229);
    }
}

static void test_pause_stops_the_clock_of_the_machine_alone(void)
{
    static const struct {
        RtcClock clock;
        bool stops;
    } cases[] = {
        { RTC_CLOCK_HOST, false }, { RTC_CLOCK_RT, false }, { RTC_CLOCK_VM, true },
    };
    FakeBoard *boards[G_N_ELEMENTS(cases)];

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        boards[i] = new_board_with((RtcConfig) {
            .base = RTC_BASE_START, .start = 1000000000, .clock = cases[i].clock,
        });
        device_tree_pause(&boards[i]->tree);
    }
    g_usleep(1100000);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (cases[i].stops)
            g_assert_cmpint(date(boards[i]), ==, 1000000000);
        else
            g_assert_cmpint(date(boards[i]), >, 1000000000);
        device_tree_resume(&boards[i]->tree);
        if (cases[i].stops)
            g_assert_cmphex(clock_time(boards[i]), ==, 0x014640);
        fake_board_free(boards[i]);
    }
}

static void test_new_time_is_told_as_a_difference(void)
{
    static const RtcBase bases[] = { RTC_BASE_UTC, RTC_BASE_LOCAL, RTC_BASE_START };

    g_setenv("TZ", "TST-5:30", true);
    tzset();
    for (unsigned i = 0; i < G_N_ELEMENTS(bases); i++) {
        g_autoptr(FakeBoard) fake = new_board_with((RtcConfig) {
            .base = bases[i], .start = 1000000000,
        });
        struct tm tm;
        int64_t later = date(fake) + 86400 + 3600;
        time_t set_to = later;

        fake_board_turn(fake);
        g_assert_cmpuint(fake->n_clock_sets, ==, 0);
        gmtime_r(&set_to, &tm);
        put(fake, REG_B, 0x86);
        put(fake, 0, tm.tm_sec);
        put(fake, 2, tm.tm_min);
        put(fake, 4, tm.tm_hour);
        put(fake, 7, tm.tm_mday);
        put(fake, 8, tm.tm_mon + 1);
        put(fake, 9, tm.tm_year % 100);
        put(fake, 0x32, (tm.tm_year + 1900) / 100);
        fake_board_turn(fake);
        g_assert_cmpuint(fake->n_clock_sets, ==, 0);
        put(fake, REG_B, 0x06);
        fake_board_turn(fake);

        g_assert_cmpuint(fake->n_clock_sets, ==, 1);
        g_assert_cmpint(ABS(fake->clock_ahead - 86400 - 3600), <=, 1);
    }
    g_unsetenv("TZ");
    tzset();
}

/* Reads register C until there is no periodic interrupt; how many there were. */
static unsigned take_ticks(FakeBoard *fake)
{
    unsigned n = 0;

    while (get(fake, REG_C) & 0x40)
        n++;
    return n;
}

static void test_lost_ticks_are_made_up_for(void)
{
    g_autoptr(FakeBoard) fake = new_board_with((RtcConfig) { .slew = true });
    gint64 begin = g_get_monotonic_time(), most;
    unsigned n, edges;

    put(fake, REG_A, 0x26);                     /* 1024 Hz */
    put(fake, REG_B, 0x42);
    while (!vm_fake_gsi_level(fake->vm, RTC_IRQ))
        loop_turn(fake->loop, true);
    g_usleep(15000);
    fake_board_turn(fake);
    edges = vm_fake_gsi_edges(fake->vm, RTC_IRQ);
    g_assert_cmpuint(edges, ==, 1);

    n = take_ticks(fake);

    g_assert_cmpuint(n, >=, 14);
    most = (g_get_monotonic_time() - begin) * 1024 / G_TIME_SPAN_SECOND + 1;
    g_assert_cmpint(n, <=, most);
    g_assert_cmpuint(vm_fake_gsi_edges(fake->vm, RTC_IRQ), ==, n);
}

/* 20 at once; the others come with the periods that follow. */
static void test_what_is_owed_comes_in_portions(void)
{
    g_autoptr(FakeBoard) fake = new_board_with((RtcConfig) { .slew = true });
    unsigned n;

    put(fake, REG_A, 0x2b);                     /* 32 Hz */
    put(fake, REG_B, 0x42);
    get(fake, REG_C);
    g_usleep(1000000);
    n = take_ticks(fake);
    g_assert_cmpuint(n, >=, 21);
    g_assert_cmpuint(n, <=, 42);                /* a period may end within */
    while (!vm_fake_gsi_level(fake->vm, RTC_IRQ))
        loop_turn(fake->loop, true);
    n += take_ticks(fake);
    g_assert_cmpuint(n, >=, 31);
}

/* At 256 Hz, those that have come anew. */
static gint64 ticks_since(gint64 begin)
{
    return (g_get_monotonic_time() - begin) * 256 / G_TIME_SPAN_SECOND;
}

static void test_what_is_owed_can_be_forgotten(void)
{
    static const uint8_t controls[] = { 0, 0x02, 0x42 };

    for (unsigned i = 0; i < G_N_ELEMENTS(controls); i++) {
        g_autoptr(FakeBoard) fake = new_board_with((RtcConfig) { .slew = i < 2 });
        gint64 begin;
        unsigned n;

        put(fake, REG_A, 0x28);                 /* 256 Hz */
        put(fake, REG_B, 0x42);
        g_usleep(80000);
        get(fake, REG_A);
        begin = g_get_monotonic_time();
        put(fake, 1, 0);                        /* catches up */
        if (i == 0)
            rtc_reset_reinjection(rtc_find(&fake->tree));
        else
            put(fake, REG_B, controls[i]);
        put(fake, REG_B, 0x42);

        n = take_ticks(fake);
        g_assert_cmpint(n, <, 10 + ticks_since(begin));
    }
}

static void test_ticks_of_a_pause_are_not_owed(void)
{
    g_autoptr(FakeBoard) fake = new_board_with((RtcConfig) { .slew = true });
    gint64 begin, paused;
    unsigned n;

    put(fake, REG_A, 0x28);
    put(fake, REG_B, 0x42);
    begin = g_get_monotonic_time();
    take_ticks(fake);
    device_tree_pause(&fake->tree);
    paused = g_get_monotonic_time();
    g_usleep(80000);
    begin += g_get_monotonic_time() - paused;
    device_tree_resume(&fake->tree);

    n = take_ticks(fake);
    g_assert_cmpint(n, <, 10 + ticks_since(begin));
}

static void test_time_goes_on_from_a_saved_state(void)
{
    static const RtcClock clocks[] = { RTC_CLOCK_RT, RTC_CLOCK_VM };

    for (unsigned i = 0; i < G_N_ELEMENTS(clocks); i++) {
        RtcConfig with = {
            .base = RTC_BASE_START, .start = 1000000000, .clock = clocks[i], .slew = true,
        };
        g_autoptr(FakeBoard) from = new_board_with(with);
        g_autoptr(FakeBoard) to = NULL;
        g_autoptr(GByteArray) state = g_byte_array_new();

        with.start = 0;
        to = new_board_with(with);
        device_tree_pause(&from->tree);
        device_tree_pause(&to->tree);
        device_tree_save(&from->tree, state);
        g_assert_true(device_tree_load(&to->tree, state->data, state->len, NULL));
        device_tree_resume(&to->tree);

        g_assert_cmpint(date(to), >=, 1000000000);
        g_assert_cmpint(date(to), <, 1000000060);
    }
}

static void test_state_is_copied(void)
{
    g_autoptr(FakeBoard) from = new_board();
    g_autoptr(FakeBoard) to = new_board();

    set_clock(from, 0x20380119, 0x031407);
    put(from, 5, 0xff);
    put(from, REG_B, 0x72);
    put(from, 0x40, 0x12);
    fake_board_check_copy(from, to);

    g_assert_cmphex(clock_date(to), ==, 0x20380119);
    g_assert_cmphex(clock_time(to) & 0xffff00, ==, 0x031400);
    g_assert_cmphex(get(to, REG_B), ==, 0x72);
}

static void test_any_access_is_answered(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    for (unsigned round = 0; round < 200; round++) {
        fake_board_poke_ports(fake, INDEX, 4, 100);
        for (unsigned reg = 0; reg <= REG_B; reg++)
            put(fake, reg, g_test_rand_int());
        for (unsigned reg = 0; reg <= REG_D; reg++)
            get(fake, reg);
        put(fake, 0x32, g_test_rand_int());
        fake_board_turn(fake);
    }
    put(fake, REG_A, 0x26);
    put(fake, REG_B, 0x02);
    set_clock(fake, 0x20240102, 0x101010);

    g_assert_cmphex(clock_date(fake), ==, 0x20240102);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rtc/tells-the-hosts-time", test_tells_the_hosts_time);
    g_test_add_func("/rtc/local-time-is-an-offset", test_local_time_is_an_offset);
    g_test_add_func("/rtc/a-time-that-is-set-goes-on", test_a_time_that_is_set_goes_on);
    g_test_add_func("/rtc/dates-that-cannot-be", test_dates_that_cannot_be);
    g_test_add_func("/rtc/set-stops-the-clock", test_set_stops_the_clock);
    g_test_add_func("/rtc/first-update-is-half-a-second-after-divider-reset",
                    test_first_update_is_half_a_second_after_divider_reset);
    g_test_add_func("/rtc/binary-and-12-hour-modes", test_binary_and_12_hour_modes);
    g_test_add_func("/rtc/periodic-interrupt-keeps-its-rate",
                    test_periodic_interrupt_keeps_its_rate);
    g_test_add_func("/rtc/without-acknowledgement-there-is-one-interrupt",
                    test_without_acknowledgement_there_is_one_interrupt);
    g_test_add_func("/rtc/update-interrupt-comes-with-the-second",
                    test_update_interrupt_comes_with_the_second);
    g_test_add_func("/rtc/alarm-rings-at-its-time", test_alarm_rings_at_its_time);
    g_test_add_func("/rtc/alarm-has-a-line", test_alarm_has_a_line);
    g_test_add_func("/rtc/flags-show-what-went-by", test_flags_show_what_went_by);
    g_test_add_func("/rtc/idle-clock-wakes-nobody", test_idle_clock_wakes_nobody);
    g_test_add_func("/rtc/memory-size-is-told", test_memory_size_is_told);
    g_test_add_func("/rtc/both-banks-are-memory", test_both_banks_are_memory);
    g_test_add_func("/rtc/reset-disables-interrupts-and-keeps-the-time",
                    test_reset_disables_interrupts_and_keeps_the_time);
    g_test_add_func("/rtc/time-begins-where-it-was-told",
                    test_time_begins_where_it_was_told);
    g_test_add_func("/rtc/pause-stops-the-clock-of-the-machine-alone",
                    test_pause_stops_the_clock_of_the_machine_alone);
    g_test_add_func("/rtc/new-time-is-told-as-a-difference",
                    test_new_time_is_told_as_a_difference);
    g_test_add_func("/rtc/lost-ticks-are-made-up-for", test_lost_ticks_are_made_up_for);
    g_test_add_func("/rtc/what-is-owed-comes-in-portions",
                    test_what_is_owed_comes_in_portions);
    g_test_add_func("/rtc/what-is-owed-can-be-forgotten",
                    test_what_is_owed_can_be_forgotten);
    g_test_add_func("/rtc/ticks-of-a-pause-are-not-owed",
                    test_ticks_of_a_pause_are_not_owed);
    g_test_add_func("/rtc/time-goes-on-from-a-saved-state",
                    test_time_goes_on_from_a_saved_state);
    g_test_add_func("/rtc/state-is-copied", test_state_is_copied);
    g_test_add_func("/rtc/any-access-is-answered", test_any_access_is_answered);
    return g_test_run();
}
