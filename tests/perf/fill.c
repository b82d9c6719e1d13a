/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine's memory can take: fills new memory by as many threads as are asked for,
 * as plainly as can be.  Writes the seconds that it took.
 *
 *     fill MIB THREADS
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define LARGE_PAGE (2ul << 20)
#define MAX_THREADS 64u

typedef struct Part {
    uint8_t *start;
    size_t size;
    pthread_t thread;
} Part;

static void *fill(void *opaque)
{
    const Part *part = opaque;

    memset(part->start, 1, part->size);
    return NULL;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    size_t size = argc > 2 ? strtoul(argv[1], NULL, 10) << 20 : 0;
    unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    Part parts[MAX_THREADS];
    uint8_t *memory, *aligned;
    double began;

    if (size == 0 || n == 0 || n > MAX_THREADS)
        return 2;
    memory = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    aligned = (uint8_t *)(((uintptr_t)memory + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1));
    madvise(aligned, size, MADV_HUGEPAGE);
    began = now();
    for (unsigned i = 0; i < n; i++) {
        parts[i] = (Part) { .start = aligned + i * (size / n), .size = size / n };
        if (pthread_create(&parts[i].thread, NULL, fill, &parts[i]) != 0)
            return 1;
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(parts[i].thread, NULL);
    printf("%.6f\n", now() - began);
    return 0;
}
