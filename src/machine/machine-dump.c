/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dump of the machine:
 *
 *     IDLE --start--> OPENING --opened--> WRITING --finished--> IDLE
 *
 * While it is written the machine is held (runstate_hold()): stopped, and nobody resets
 * or resumes it.  One that ran goes on afterwards.  While the file is opened it still
 * runs.
 *
 * Saving a range stops nothing, and any number may be under way, one for each client that
 * waits.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/vmcoreinfo.h"

#include "qapi-events.h"
#include "qmp-commands.h"

#include "machine-dump.h"

/* Of a guest's note: what a kernel's VMCOREINFO is a hundredth of. */
#define NOTE_MAX MIB

#define BUSY "There is a dump in process, please wait."

struct MachineDump {
    Machine *machine;
    DumpJob *job;               /* NULL: none is under way */
    QmpReply *reply;            /* NULL: it was ended */
    bool detach;
    bool writing;               /* and the machine is held */
    bool resume;                /* the machine ran */
    DumpQueryResult last;       /* of the one before, while there is no job */
    ListNode saves;             /* of MemorySave */
};

typedef struct MemorySave {
    Machine *machine;
    ListNode node;
    DumpJob *job;
    DumpRange range;
    unsigned vcpu;
    QmpReply *reply;
} MemorySave;

static MachineDump *need_dump(Machine *machine)
{
    MachineDump *dump = machine->dump;

    if (!dump) {
        dump = machine->dump = g_new0(MachineDump, 1);
        dump->machine = machine;
        list_init(&dump->saves);
    }
    return dump;
}

bool machine_dump_check(const Machine *machine, GError **error)
{
    if (machine->run.state == RUN_STATE_INMIGRATE) {
        error_set(error, "Dump not allowed during incoming migration.");
        return false;
    }
    if (machine->dump && machine->dump->job) {
        error_set(error, BUSY);
        return false;
    }
    if (!machine->vm) {
        error_set(error, "the machine has no memory");
        return false;
    }
    return true;
}

void machine_dump_query(const Machine *machine, DumpQueryResult *ret_result)
{
    const MachineDump *dump = machine->dump;

    *ret_result = (DumpQueryResult) { .status = DUMP_STATUS_NONE };
    if (dump && dump->writing) {
        ret_result->status = DUMP_STATUS_ACTIVE;
        dump_job_progress(dump->job, &ret_result->completed, &ret_result->total);
    } else if (dump) {
        *ret_result = dump->last;
    }
}

/* Ends the reply of who still waits for it. */
static void end_reply(MachineDump *dump, const GError *error)
{
    QmpReply *reply = g_steal_pointer(&dump->reply);

    if (!reply)
        return;
    if (error)
        qmp_reply_fail(reply, g_error_copy(error));
    else
        qmp_return_dump_guest_memory(reply);
}

/* What the guest says is its note: copied once, then checked. */
static GBytes *read_note(Machine *machine, const RamMap *ram)
{
    Device *dev = vmcoreinfo_find(&machine->tree);
    g_autofree uint8_t *bytes = NULL;
    uint64_t gpa;
    uint32_t size;

    if (!dev || !vmcoreinfo_note(dev, &gpa, &size))
        return NULL;
    if (size <= NOTE_MAX)
        bytes = g_malloc(size);
    if (!bytes || !ram_map_read(ram, gpa, bytes, size) || !dump_note_check(bytes, size)) {
        log_warn("the guest's VMCOREINFO is left out of the dump: %u bytes at 0x%" PRIx64
                 " are no note", size, gpa);
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&bytes), size);
}

/* Of @n vCPUs, from the @first on. */
static VcpuRegisters *read_registers(Machine *machine, unsigned first, unsigned n,
                                     GError **error)
{
    g_autofree VcpuRegisters *registers = g_new0(VcpuRegisters, n);
    unsigned index = first;

    for (unsigned i = 0; i < n; i++, index++) {
        Vcpu *vcpu = machine_next_vcpu(machine, &index);

        if (!vcpu_read_registers(vcpu, &registers[i], error))
            return NULL;
    }
    return g_steal_pointer(&registers);
}

static bool write_guest(MachineDump *dump, GError **error)
{
    Machine *machine = dump->machine;
    unsigned n_vcpus = machine_n_vcpus(machine);
    DumpGuest guest = { .n_vcpus = n_vcpus };

    guest.vcpus = read_registers(machine, 0, n_vcpus, error);
    if (!guest.vcpus)
        return false;
    guest.ram = ram_map_new(machine->memory);
    guest.note = read_note(machine, guest.ram);
    return dump_job_write(dump->job, &guest, error);
}

static void let_go(MachineDump *dump)
{
    g_autoptr(GError) error = NULL;
    Machine *machine = dump->machine;

    dump->writing = false;
    runstate_release(&machine->run);
    if (dump->resume && !runstate_start(&machine->run, &error))
        log_error("the machine stays stopped after the dump: %s", error->message);
}

static void on_opened(void *opaque, const GError *error)
{
    MachineDump *dump = opaque;
    RunControl *run = &dump->machine->run;
    g_autoptr(GError) failure = NULL;

    if (error) {
        end_reply(dump, error);
        g_clear_pointer(&dump->job, dump_job_free);
        return;
    }
    dump->resume = runstate_is_live(run);
    runstate_stop(run, RUN_STATE_SAVE_VM);
    runstate_hold(run, BUSY);
    dump->writing = true;
    if (!write_guest(dump, &failure)) {
        end_reply(dump, failure);
        g_clear_pointer(&dump->job, dump_job_free);
        let_go(dump);
    } else if (dump->detach) {
        end_reply(dump, NULL);
    }
}

static void on_finished(void *opaque, const GError *error)
{
    MachineDump *dump = opaque;
    DumpCompletedEvent event = {
        .result = &dump->last,
        .error = error ? error->message : NULL,
    };

    dump->last.status = error ? DUMP_STATUS_FAILED : DUMP_STATUS_COMPLETED;
    dump_job_progress(dump->job, &dump->last.completed, &dump->last.total);
    qapi_event_dump_completed(dump->machine->events, &event);
    let_go(dump);
    end_reply(dump, error);
    g_clear_pointer(&dump->job, dump_job_free);
}

static const DumpJobOps dump_ops = { .opened = on_opened, .finished = on_finished };

void machine_dump_start(Machine *machine, const DumpOptions *options,
                        const DumpTarget *target, bool detach, QmpReply *reply)
{
    MachineDump *dump = need_dump(machine);
    GError *error = NULL;

    dump->detach = detach;
    dump->reply = reply;
    dump->job = dump_job_new(machine->loop, options, target, &dump_ops, dump, &error);
    if (!dump->job)
        qmp_reply_fail(g_steal_pointer(&dump->reply), error);
}

static void save_free(MemorySave *save)
{
    list_remove(&save->node);
    dump_job_free(save->job);
    g_free(save);
}

static void end_save(MemorySave *save, const GError *error)
{
    if (error)
        qmp_reply_fail(save->reply, g_error_copy(error));
    else
        qmp_reply_return(save->reply, NULL);
    save_free(save);
}

static void on_save_opened(void *opaque, const GError *error)
{
    MemorySave *save = opaque;
    Machine *machine = save->machine;
    DumpGuest guest = { .n_vcpus = 0 };
    g_autoptr(GError) failure = NULL;

    if (error) {
        end_save(save, error);
        return;
    }
    if (save->range.is_virtual) {
        guest.n_vcpus = 1;
        guest.vcpus = read_registers(machine, save->vcpu, 1, &failure);
    }
    guest.ram = ram_map_new(machine->memory);
    if (failure || !dump_job_save(save->job, &guest, &save->range, &failure))
        end_save(save, failure);
}

static void on_save_finished(void *opaque, const GError *error)
{
    end_save(opaque, error);
}

static const DumpJobOps save_ops = {
    .opened = on_save_opened,
    .finished = on_save_finished,
};

void machine_dump_save(Machine *machine, const DumpRange *range, unsigned vcpu,
                       const DumpTarget *target, QmpReply *reply)
{
    MemorySave *save = g_new0(MemorySave, 1);
    GError *error = NULL;

    save->machine = machine;
    save->range = *range;
    save->vcpu = vcpu;
    save->reply = reply;
    list_append(&need_dump(machine)->saves, &save->node);
    save->job = dump_job_new(machine->loop, NULL, target, &save_ops, save, &error);
    if (!save->job) {
        qmp_reply_fail(reply, error);
        save_free(save);
    }
}

void machine_dump_done(Machine *machine)
{
    MachineDump *dump = machine->dump;
    g_autoptr(GError) ended =
        g_error_new_literal(BERTH_ERROR, BERTH_ERROR_GENERIC, "the machine ends");

    if (!dump)
        return;
    LIST_FOREACH(node, &dump->saves)
        end_save(CONTAINER_OF(node, MemorySave, node), ended);
    dump_job_free(dump->job);
    end_reply(dump, ended);
    g_clear_pointer(&machine->dump, g_free);
}
