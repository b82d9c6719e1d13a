/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VMM has to ask the kernel for, and nothing else: writes a frame to a tap and
 * reads what comes back, again and again.
 *
 *     tap-calls FD DEPTH ANSWERS NANOSECONDS < FRAME
 *
 * FD is non-blocking; frames have their header in front, and ANSWERS come to each.
 * Prints frames that were written or, where there are answers, read; nanoseconds that
 * passed; and nanoseconds of CPU.
 */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ARG_FD = 1, ARG_DEPTH, ARG_ANSWERS, ARG_NANOSECONDS, N_ARGS };

static char frame[65536], answer[65536];

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t parse(const char *text, int64_t max)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 0, (guint64)max, &value, NULL))
        exit(2);
    return (int64_t)value;
}

static void read_answer(int fd)
{
    struct pollfd source = { .fd = fd, .events = POLLIN };

    while (read(fd, answer, sizeof(answer)) < 0) {
        if (errno != EAGAIN || poll(&source, 1, 1000) <= 0)
            exit(1);
    }
}

/* Frames of @size bytes, and the answers to each. */
static void exchange(int fd, size_t size, int64_t frames, int64_t answers)
{
    for (int64_t i = 0; i < frames; i++) {
        if (write(fd, frame, size) < 0)
            exit(1);
    }
    for (int64_t i = 0; i < frames * answers; i++)
        read_answer(fd);
}

int main(int argc, char **argv)
{
    int64_t depth, answers, begin, now, end, cpu, n = 0;
    ssize_t size = read(STDIN_FILENO, frame, sizeof(frame));

    if (argc != N_ARGS || size <= 0)
        return 2;
    answers = parse(argv[ARG_ANSWERS], 1000);
    depth = parse(argv[ARG_DEPTH], 1000) / MAX(answers, 1);
    cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    begin = now = read_clock(CLOCK_MONOTONIC);
    end = begin + parse(argv[ARG_NANOSECONDS], INT64_C(100000000000));
    while (now < end) {
        exchange((int)parse(argv[ARG_FD], INT_MAX), (size_t)size, depth, answers);
        n += depth * MAX(answers, 1);
        now = read_clock(CLOCK_MONOTONIC);
    }
    printf("%" PRId64 " %" PRId64 " %" PRId64 "\n", n, now - begin,
           read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
