/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What main makes of memory that the host has taken away.
 *
 * berth's own threads meet it by SIGBUS and go on with zeros (ram-fault.h); a vCPU meets
 * it by an error of KVM_RUN and stops.  Either way the guest's memory is not what it was,
 * so the machine needs a reset: the run state is "internal-error".  A page that nobody
 * has used yet, which the host tells of beforehand, stops nothing.
 *
 * KVM seldom says where a vCPU met it; what can be found out is which files are too
 * short.
 */
#include <sys/stat.h>

#include "berth/log.h"
#include "berth/ram-fault.h"
#include "berth/ram-map.h"

#include "qapi-events.h"

#include "memory-failure.h"

struct MemoryFailure {
    RunControl *run;
    AddressSpace *memory;
    RamFaultWatch watch;
    LoopMessage message;
    LogLimit log_limit;
    bool vcpu_stopped;          /* atomic */
};

/* The bytes that the file of @block lacks, and *@ret_size of it. */
static uint64_t missing_bytes(const RamBlock *block, uint64_t *ret_size)
{
    uint64_t wanted = block->fd_offset + block->size;
    struct stat stat;

    if (block->fd < 0 || fstat(block->fd, &stat) < 0 || (uint64_t)stat.st_size >= wanted)
        return 0;
    *ret_size = (uint64_t)stat.st_size;
    return wanted - *ret_size;
}

static char *reason_of(const RamBlock *block, const RamFault *fault)
{
    uint64_t size;
    uint64_t missing = missing_bytes(block, &size);

    if (fault->is_hardware)
        return g_strdup("the hardware has lost a page");
    if (missing == 0)
        return g_strdup("the host cannot give a page");
    return g_strdup_printf("the file has become too short: it has %" PRIu64
                           " bytes, and needs %" PRIu64, size, size + missing);
}

static void tell(MemoryFailure *failure, MemoryFailureEvent *event)
{
    event->recipient = MEMORY_FAILURE_RECIPIENT_GUEST;
    event->action = event->flags->action_required ? MEMORY_FAILURE_ACTION_FATAL
                                                  : MEMORY_FAILURE_ACTION_IGNORE;
    qapi_event_memory_failure(failure->run->events, event);
    if (event->flags->action_required)
        runstate_require_reset(failure->run);
}

static void tell_of_block(MemoryFailure *failure, const RamBlock *block,
                          const RamFault *fault, bool of_vcpu)
{
    g_autofree char *reason = reason_of(block, fault);
    MemoryFailureFlags flags = { .action_required = of_vcpu || fault->n_lost > 0 };
    MemoryFailureEvent event = {
        .flags = &flags,
        .x_memory = block->name,
        .has_x_offset = fault->n_lost + fault->n_spoilt > 0,
        .x_offset = fault->offset,
        .has_x_pages = true,
        .x_pages = fault->n_lost,
        .x_reason = reason,
    };

    if (log_limit_pass(&failure->log_limit, NULL))
        log_error("memory '%s': %s%s", block->name, reason,
                  flags.action_required ? "; the machine needs a reset"
                                        : ", which is not in use");
    tell(failure, &event);
}

static void tell_of_none(MemoryFailure *failure)
{
    MemoryFailureFlags flags = { .action_required = true };
    MemoryFailureEvent event = {
        .flags = &flags,
        .x_reason = (char *)(uintptr_t)"the host cannot give a page",
    };

    tell(failure, &event);
}

/* A block may be in several places. */
static bool is_first(const RamMap *map, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (map->ranges[i].block == map->ranges[index].block)
            return false;
    }
    return true;
}

static void on_failure(void *opaque)
{
    MemoryFailure *failure = opaque;
    bool of_vcpu = __atomic_exchange_n(&failure->vcpu_stopped, false, __ATOMIC_ACQUIRE);
    g_autoptr(RamMap) map = ram_map_new(failure->memory);
    bool told = false;

    for (size_t i = 0; i < map->n; i++) {
        const RamBlock *block = map->ranges[i].block;
        RamFault fault = { 0 };
        uint64_t size;

        if (!is_first(map, i))
            continue;
        if (!ram_fault_take(block, &fault) &&
            (!of_vcpu || missing_bytes(block, &size) == 0))
            continue;
        tell_of_block(failure, block, &fault, of_vcpu);
        told = true;
    }
    if (of_vcpu && !told)
        tell_of_none(failure);
}

MemoryFailure *memory_failure_new(RunControl *run, AddressSpace *memory, GError **error)
{
    MemoryFailure *failure = g_new0(MemoryFailure, 1);

    failure->run = run;
    failure->memory = memory;
    loop_message_init(&failure->message, on_failure, failure);
    if (ram_fault_catch(error) &&
        ram_fault_watch_init(&failure->watch, run->loop, on_failure, failure, error))
        return failure;
    memory_failure_free(failure);
    return NULL;
}

void memory_failure_free(MemoryFailure *failure)
{
    if (!failure)
        return;
    loop_message_cancel(failure->run->loop, &failure->message);
    ram_fault_watch_done(&failure->watch);
    g_free(failure);
}

void memory_failure_of_vcpu(MemoryFailure *failure)
{
    __atomic_store_n(&failure->vcpu_stopped, true, __ATOMIC_RELEASE);
    loop_post(failure->run->loop, &failure->message);
}
