/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the sandbox; what is made often stands first, for it is found first.
 *
 * Where an argument is looked at, so that what a thread has hold of is all that it can
 * reach: no new executable memory, no other address than a socket's own, no file by name
 * on threads that have no files to open.
 */
#include <asm/prctl.h>
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <linux/vhost.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "berth/sandbox-table.h"

#include "syscall-names.h"

#define MAIN SANDBOX_MAIN
#define VCPU SANDBOX_VCPU
#define IOTHREAD SANDBOX_IOTHREAD
#define WORKER SANDBOX_WORKER
#define ALL (MAIN | VCPU | IOTHREAD | WORKER)
#define LOOPS (MAIN | IOTHREAD)
#define IO (MAIN | IOTHREAD | WORKER)
#define FILES (MAIN | WORKER)

/* What pthread_create() asks clone(2) for. */
#define THREAD_FLAGS                                                                  \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

#ifndef ARCH_REQ_XCOMP_GUEST_PERM
#define ARCH_REQ_XCOMP_GUEST_PERM 0x1025
#endif

/*
 * The kernel's, which newer C libraries use.  Its size is in the numbers of requests; the
 * header that defines it does not go with <termios.h>.
 */
struct termios2 {
    uint32_t words[11];
};

#define CALL(name_, roles_, group_) \
    { __NR_##name_, roles_, SANDBOX_GROUP_##group_, SANDBOX_ANY }
#define CHECKED(name_, roles_, group_, check_) \
    { __NR_##name_, roles_, SANDBOX_GROUP_##group_, SANDBOX_##check_ }

const SandboxCall sandbox_table_calls[] = {
    CHECKED(ioctl, ALL, DEVICES, REQUEST),
    CALL(read, ALL, LIBRARY),
    CALL(write, ALL, LIBRARY),
    CALL(futex, ALL, LIBRARY),
    CALL(epoll_pwait2, LOOPS, LOOP),
    CALL(epoll_wait, LOOPS, LOOP),
    CALL(epoll_ctl, LOOPS, LOOP),
    CALL(io_submit, LOOPS, FILE_IO),
    CALL(io_getevents, LOOPS, FILE_IO),

    /* The C library, its memory, the clock where the vDSO has none, ends. */
    CALL(close, ALL, LIBRARY),
    CHECKED(mmap, ALL, LIBRARY, NO_EXEC),
    CHECKED(mprotect, ALL, LIBRARY, NO_EXEC),
    CALL(munmap, ALL, LIBRARY),
    CALL(mremap, ALL, LIBRARY),
    CALL(madvise, ALL, LIBRARY),
    CALL(brk, ALL, LIBRARY),
    CALL(clock_gettime, ALL, LIBRARY),
    CALL(gettimeofday, ALL, LIBRARY),
    CALL(time, ALL, LIBRARY),
    CALL(getcpu, ALL, LIBRARY),
    CALL(clock_nanosleep, ALL, LIBRARY),
    CALL(nanosleep, ALL, LIBRARY),
    CALL(restart_syscall, ALL, LIBRARY),
    CALL(sched_yield, ALL, LIBRARY),
    CALL(rt_sigprocmask, ALL, LIBRARY),
    CALL(rt_sigreturn, ALL, LIBRARY),
    CALL(getpid, ALL, LIBRARY),
    CALL(gettid, ALL, LIBRARY),
    CALL(getrandom, ALL, LIBRARY),
    CHECKED(tgkill, ALL, LIBRARY, OWN),
    CHECKED(prctl, ALL, LIBRARY, NAMES),
    CALL(sysinfo, ALL, LIBRARY),
    CALL(getpgrp, ALL, LIBRARY),
    CALL(rt_sigaction, MAIN, LIBRARY),
    CALL(exit, ALL, LIBRARY),
    CALL(exit_group, ALL, LIBRARY),

    /* The log, and character devices that any thread writes to. */
    CALL(poll, ALL, OUTPUT),
    CHECKED(sendto, ALL, OUTPUT, NO_ADDRESS),
    CALL(writev, ALL, OUTPUT),
    CALL(readv, LOOPS, NETWORK),
    CALL(fstat, ALL, OUTPUT),
    CHECKED(newfstatat, ALL, OUTPUT, STAT),

    /* MSI-X vectors are made as the guest asks, statistics are read. */
    CALL(eventfd2, MAIN | VCPU | IOTHREAD, DEVICES),
    CHECKED(arch_prctl, MAIN, DEVICES, GUEST_STATE),
    CALL(pread64, ALL, FILE_IO),

    CALL(epoll_create1, MAIN, LOOP),
    CALL(signalfd4, MAIN, LOOP),

    CALL(pwrite64, IO, FILE_IO),
    CALL(preadv2, IO, FILE_IO),
    CALL(pwritev2, IO, FILE_IO),
    CALL(fdatasync, IO, FILE_IO),
    CALL(fallocate, IO, FILE_IO),
    CALL(ftruncate, IO, FILE_IO),
    CALL(lseek, IO, FILE_IO),
    CALL(io_setup, LOOPS, FILE_IO),
    CALL(io_destroy, LOOPS, FILE_IO),

    CALL(openat, FILES, FILES),
    CHECKED(fcntl, IO, FILES, COMMAND),
    CALL(statx, FILES, FILES),
    CALL(fstatfs, FILES, FILES),
    CALL(readlink, FILES, FILES),
    CALL(getdents64, FILES, FILES),
    CALL(symlink, MAIN, FILES),
    CALL(unlink, MAIN, FILES),
    CALL(umask, MAIN, FILES),
    CALL(fchmod, MAIN, FILES),
    CALL(lchown, MAIN, FILES),
    CALL(getcwd, FILES, FILES),
    CALL(inotify_init1, MAIN, FILES),
    CALL(inotify_add_watch, MAIN, FILES),
    CALL(inotify_rm_watch, MAIN, FILES),

    CHECKED(clone, LOOPS, THREADS, THREAD),
    CHECKED(clone3, LOOPS, THREADS, ABSENT),
    CALL(rseq, ALL, THREADS),
    CALL(set_robust_list, ALL, THREADS),
    CALL(sched_getaffinity, ALL, THREADS),
    CHECKED(prlimit64, LOOPS, THREADS, READ_LIMITS),
    CHECKED(seccomp, ALL, THREADS, FILTER),

    CHECKED(socket, MAIN, SOCKETS, FAMILY),
    CALL(bind, MAIN, SOCKETS),
    CALL(listen, MAIN, SOCKETS),
    CALL(accept4, MAIN, SOCKETS),
    CALL(accept, MAIN, NETWORK),
    CALL(socketpair, MAIN, NETWORK),
    CALL(connect, MAIN, SOCKETS),
    CALL(shutdown, MAIN, SOCKETS),
    CALL(getsockname, MAIN, SOCKETS),
    CALL(getpeername, MAIN, SOCKETS),
    CALL(getsockopt, MAIN, SOCKETS),
    CALL(setsockopt, MAIN, SOCKETS),
    CALL(recvmsg, MAIN | IOTHREAD, SOCKETS),
    CALL(sendmsg, MAIN, NETWORK),
    CALL(recvfrom, MAIN | IOTHREAD, SOCKETS),

    CALL(memfd_create, MAIN, HOST),
    CALL(mbind, MAIN, HOST),
    CALL(statfs, MAIN, HOST),
    CALL(dup2, MAIN, HOST),
    CALL(dup3, MAIN, HOST),

    CALL(sysfs, MAIN, OBSOLETE),
    CALL(ustat, MAIN, OBSOLETE),
    CALL(uselib, MAIN, OBSOLETE),
    CALL(_sysctl, MAIN, OBSOLETE),

    CALL(setuid, MAIN, PRIVILEGES),
    CALL(setgid, MAIN, PRIVILEGES),
    CALL(setreuid, MAIN, PRIVILEGES),
    CALL(setregid, MAIN, PRIVILEGES),
    CALL(setresuid, MAIN, PRIVILEGES),
    CALL(setresgid, MAIN, PRIVILEGES),
    CALL(setfsuid, MAIN, PRIVILEGES),
    CALL(setfsgid, MAIN, PRIVILEGES),
    CALL(setgroups, MAIN, PRIVILEGES),
    CALL(setpgid, MAIN, PRIVILEGES),
    CALL(setsid, MAIN, PRIVILEGES),

    CALL(setpriority, ALL, RESOURCES),
    CALL(sched_setparam, ALL, RESOURCES),
    CALL(sched_setscheduler, ALL, RESOURCES),
    CALL(sched_setattr, ALL, RESOURCES),
    CALL(sched_setaffinity, ALL, RESOURCES),
    CALL(ioprio_set, ALL, RESOURCES),
};

const unsigned sandbox_table_n_calls = G_N_ELEMENTS(sandbox_table_calls);

const uint16_t sandbox_table_never[] = {
    __NR_reboot, __NR_kexec_load, __NR_kexec_file_load, __NR_init_module,
    __NR_finit_module, __NR_delete_module, __NR_mount, __NR_umount2, __NR_pivot_root,
    __NR_open_tree, __NR_move_mount, __NR_fsopen, __NR_fsconfig, __NR_fsmount,
    __NR_fspick, __NR_swapon, __NR_swapoff, __NR_quotactl, __NR_acct, __NR_syslog,
    __NR_iopl, __NR_ioperm,
    __NR_settimeofday, __NR_clock_settime, __NR_adjtimex, __NR_clock_adjtime,
    __NR_sethostname, __NR_setdomainname, __NR_vhangup, __NR_ptrace,
    __NR_process_vm_readv, __NR_process_vm_writev, __NR_kcmp, __NR_bpf,
    __NR_perf_event_open, __NR_userfaultfd, __NR_io_uring_setup, __NR_add_key,
    __NR_request_key, __NR_keyctl, __NR_open_by_handle_at, __NR_modify_ldt,
    __NR_lookup_dcookie, __NR_nfsservctl,
};

const unsigned sandbox_table_n_never = G_N_ELEMENTS(sandbox_table_never);

#define VALUE(value_, roles_) { value_, roles_, #value_ }

static const SandboxValue requests[] = {
    VALUE(KVM_RUN, VCPU),

    /* A vCPU for itself, or main while it is parked. */
    VALUE(KVM_INTERRUPT, VCPU),
    VALUE(KVM_NMI, VCPU | MAIN),
    VALUE(KVM_SMI, VCPU | MAIN),
    VALUE(KVM_KVMCLOCK_CTRL, VCPU),
    VALUE(KVM_GET_MP_STATE, VCPU | MAIN),
    VALUE(KVM_GET_REGS, VCPU | MAIN),
    VALUE(KVM_GET_SREGS, VCPU | MAIN),
    VALUE(KVM_GET_MSRS, VCPU | MAIN),
    VALUE(KVM_GET_DEBUGREGS, VCPU | MAIN),
    VALUE(KVM_GET_FPU, VCPU | MAIN),
    VALUE(KVM_GET_VCPU_EVENTS, VCPU | MAIN),
    VALUE(KVM_GET_LAPIC, VCPU | MAIN),
    VALUE(KVM_GET_STATS_FD, VCPU | MAIN),
    VALUE(KVM_SET_MP_STATE, MAIN),
    VALUE(KVM_SET_REGS, MAIN),
    VALUE(KVM_SET_SREGS, MAIN),
    VALUE(KVM_SET_DEBUGREGS, MAIN),
    VALUE(KVM_GET_XSAVE, MAIN),
    VALUE(KVM_GET_XSAVE2, MAIN),
    VALUE(KVM_SET_XSAVE, MAIN),
    VALUE(KVM_GET_XCRS, MAIN),
    VALUE(KVM_SET_XCRS, MAIN),
    VALUE(KVM_SET_MSRS, MAIN),
    VALUE(KVM_SET_LAPIC, MAIN),
    VALUE(KVM_SET_VCPU_EVENTS, MAIN),
    VALUE(KVM_GET_NESTED_STATE, MAIN),
    VALUE(KVM_SET_NESTED_STATE, MAIN),
    VALUE(KVM_GET_TSC_KHZ, MAIN),
    VALUE(KVM_SET_TSC_KHZ, MAIN),

    /* A vCPU that comes. */
    VALUE(KVM_CREATE_VCPU, MAIN),
    VALUE(KVM_SET_CPUID2, MAIN),
    VALUE(KVM_ENABLE_CAP, MAIN),

    /* Interrupts, doorbells, memory: as the guest programs its devices. */
    VALUE(KVM_IRQ_LINE, VCPU | MAIN | IOTHREAD),
    VALUE(KVM_SIGNAL_MSI, VCPU | MAIN | IOTHREAD),
    VALUE(KVM_IRQFD, VCPU | MAIN | IOTHREAD),
    VALUE(KVM_IOEVENTFD, VCPU | MAIN | IOTHREAD),
    VALUE(KVM_SET_GSI_ROUTING, VCPU | MAIN | IOTHREAD),
    VALUE(KVM_GET_PIT2, VCPU | MAIN),
    VALUE(KVM_SET_PIT2, VCPU | MAIN),
    VALUE(KVM_SET_USER_MEMORY_REGION, VCPU | MAIN),

    /* The machine's own: reset, clock, what the host offers. */
    VALUE(KVM_GET_IRQCHIP, MAIN),
    VALUE(KVM_SET_IRQCHIP, MAIN),
    VALUE(KVM_REINJECT_CONTROL, MAIN),
    VALUE(KVM_GET_CLOCK, MAIN),
    VALUE(KVM_SET_CLOCK, MAIN),
    VALUE(KVM_CHECK_EXTENSION, MAIN),
    VALUE(KVM_GET_API_VERSION, MAIN),
    VALUE(KVM_GET_SUPPORTED_CPUID, MAIN),
    VALUE(KVM_GET_SUPPORTED_HV_CPUID, MAIN),
    VALUE(KVM_GET_MSR_INDEX_LIST, MAIN),
    VALUE(KVM_GET_MSR_FEATURE_INDEX_LIST, MAIN),

    /* Terminals; a thread that ends the process restores the mode of ours. */
    VALUE(TCGETS, ALL),
    VALUE(TCGETS2, ALL),
    VALUE(TCSETS, ALL),
    VALUE(TCSETS2, ALL),
    VALUE(TIOCGPGRP, ALL),
    VALUE(TIOCSBRK, VCPU | MAIN),
    VALUE(TIOCCBRK, VCPU | MAIN),
    VALUE(TIOCGPTN, MAIN),
    VALUE(TIOCSPTLCK, MAIN),
    VALUE(TIOCGPTPEER, MAIN),

    /* Files and block devices. */
    VALUE(FS_IOC_FSGETXATTR, FILES),
    VALUE(FS_IOC_FSSETXATTR, FILES),
    VALUE(FS_IOC_GETFLAGS, FILES),
    VALUE(FS_IOC_SETFLAGS, FILES),
    VALUE(BLKGETSIZE64, FILES),
    VALUE(BLKDISCARD, FILES),
    VALUE(BLKZEROOUT, FILES),

    /* Taps. */
    VALUE(TUNSETOFFLOAD, LOOPS),
    VALUE(TUNSETQUEUE, LOOPS),
    VALUE(TUNSETIFF, MAIN),
    VALUE(TUNGETIFF, MAIN),
    VALUE(TUNSETVNETHDRSZ, MAIN),
    VALUE(TUNSETSNDBUF, MAIN),

    /* User networks: datagrams that wait, interfaces of link-local addresses. */
    VALUE(FIONREAD, MAIN),
    VALUE(SIOCGIFINDEX, MAIN),
    VALUE(SIOCGIFNAME, MAIN),

    /* Rings that the kernel serves. */
    VALUE(VHOST_SET_OWNER, LOOPS),
    VALUE(VHOST_GET_FEATURES, LOOPS),
    VALUE(VHOST_SET_FEATURES, LOOPS),
    VALUE(VHOST_SET_MEM_TABLE, LOOPS),
    VALUE(VHOST_SET_VRING_NUM, LOOPS),
    VALUE(VHOST_SET_VRING_ADDR, LOOPS),
    VALUE(VHOST_SET_VRING_BASE, LOOPS),
    VALUE(VHOST_GET_VRING_BASE, LOOPS),
    VALUE(VHOST_SET_VRING_KICK, LOOPS),
    VALUE(VHOST_SET_VRING_CALL, LOOPS | VCPU),
    VALUE(VHOST_SET_VRING_ERR, LOOPS),
    VALUE(VHOST_SET_VRING_BUSYLOOP_TIMEOUT, MAIN),
    VALUE(VHOST_NET_SET_BACKEND, LOOPS),
    VALUE(VHOST_VSOCK_SET_GUEST_CID, LOOPS),
    VALUE(VHOST_VSOCK_SET_RUNNING, LOOPS),
};

static const SandboxValue not_executable[] = { VALUE(0, ALL) };
static const SandboxValue own[] = { VALUE(0, ALL) };
static const SandboxValue null_pointer[] = { VALUE(0, ALL) };
static const SandboxValue thread_flags[] = { VALUE(THREAD_FLAGS, ALL) };
static const SandboxValue filters[] = { VALUE(SECCOMP_SET_MODE_FILTER, ALL) };
static const SandboxValue names[] = {
    VALUE(PR_SET_NAME, ALL), VALUE(PR_GET_NAME, ALL), VALUE(PR_SET_VMA, ALL),
};
static const SandboxValue guest_states[] = { VALUE(ARCH_REQ_XCOMP_GUEST_PERM, ALL) };
static const SandboxValue families[] = {
    VALUE(AF_UNIX, MAIN),
    VALUE(AF_INET, MAIN),
    VALUE(AF_INET6, MAIN),
    VALUE(AF_VSOCK, MAIN),
    VALUE(AF_NETLINK, MAIN),
};
static const SandboxValue stat_flags[] = {
    VALUE(AT_EMPTY_PATH, ALL), VALUE(0, FILES), VALUE(AT_SYMLINK_NOFOLLOW, FILES),
};
static const SandboxValue commands[] = {
    VALUE(F_GETFL, IO),
    VALUE(F_SETFL, IO),
    VALUE(F_GETFD, IO),
    VALUE(F_SETFD, IO),
    VALUE(F_DUPFD_CLOEXEC, FILES),
    VALUE(F_OFD_SETLK, FILES),
    VALUE(F_OFD_GETLK, FILES),
    VALUE(F_ADD_SEALS, FILES),
};

#define VALUES(values_) .values = values_, .n_values = G_N_ELEMENTS(values_)

static const struct {
    SandboxCheck check;
    const char *words;
} checks[SANDBOX_CHECK__MAX] = {
    [SANDBOX_ANY] = { { 0 }, "" },
    [SANDBOX_NO_EXEC] = { { .argument = 2, .mask = PROT_EXEC, VALUES(not_executable) },
                          "not executable" },
    [SANDBOX_REQUEST] = { { .argument = 1, .mask = ~0u, VALUES(requests) },
                          "the requests below" },
    [SANDBOX_COMMAND] = { { .argument = 1, .mask = ~0u, VALUES(commands) },
                          "flags, locks, duplicates, seals" },
    [SANDBOX_OWN] = { { .argument = 0, .mask = ~0u, .is_own = true, VALUES(own) },
                      "to this process" },
    [SANDBOX_NAMES] = { { .argument = 0, .mask = ~0u, VALUES(names) },
                        "names of threads and of memory" },
    [SANDBOX_GUEST_STATE] = { { .argument = 0, .mask = ~0u, VALUES(guest_states) },
                              "registers that guests may have" },
    [SANDBOX_READ_LIMITS] = { { .argument = 2, .is_wide = true, .mask = ~0u,
                                VALUES(null_pointer) }, "reading" },
    [SANDBOX_THREAD] = { { .argument = 0, .mask = ~0u, VALUES(thread_flags) },
                         "a thread" },
    [SANDBOX_FILTER] = { { .argument = 0, .mask = ~0u, VALUES(filters) },
                         "a further filter" },
    [SANDBOX_FAMILY] = { { .argument = 0, .mask = ~0u, VALUES(families) },
                         "unix, IPv4, IPv6, vsock, netlink" },
    [SANDBOX_STAT] = { { .argument = 3, .mask = ~0u, VALUES(stat_flags) },
                       "vCPUs and iothreads: what is open" },
    /* Main connects sockets to any address. */
    [SANDBOX_NO_ADDRESS] = { { .argument = 4, .is_wide = true, .free_roles = MAIN,
                               .mask = ~0u, VALUES(null_pointer) },
                             "main only: with an address" },
    [SANDBOX_ABSENT] = { { 0 }, "ENOSYS, so that clone is used" },
};

static const char *const whys[SANDBOX_GROUP__MAX] = {
    [SANDBOX_GROUP_LIBRARY] = "the C library, memory, time, ends",
    [SANDBOX_GROUP_OUTPUT] = "the log, and character devices that any thread writes to",
    [SANDBOX_GROUP_DEVICES] = "the hypervisor and other devices of the host",
    [SANDBOX_GROUP_LOOP] = "event loops",
    [SANDBOX_GROUP_FILE_IO] = "reading and writing files that are open",
    [SANDBOX_GROUP_FILES] = "opening and looking at files",
    [SANDBOX_GROUP_THREADS] = "starting threads",
    [SANDBOX_GROUP_SOCKETS] = "character devices and monitors",
    [SANDBOX_GROUP_NETWORK] = "network backends and the interfaces of the host",
    [SANDBOX_GROUP_HOST] = "memory backends, the background",
    [SANDBOX_GROUP_OBSOLETE] = "`obsolete=allow`",
    [SANDBOX_GROUP_PRIVILEGES] = "`elevateprivileges=allow`",
    [SANDBOX_GROUP_RESOURCES] = "`resourcecontrol=allow`",
};

const SandboxCheck *sandbox_table_check(SandboxCheckId id)
{
    return &checks[id].check;
}

const SandboxCheck *sandbox_table_check_of(unsigned number)
{
    for (unsigned i = 0; i < sandbox_table_n_calls; i++) {
        const SandboxCall *row = &sandbox_table_calls[i];

        if (row->number == number && checks[row->check].check.n_values > 0)
            return &checks[row->check].check;
    }
    return NULL;
}

const char *sandbox_table_check_words(SandboxCheckId id)
{
    return checks[id].words;
}

const char *sandbox_table_why(SandboxGroup group)
{
    return whys[group];
}

const char *sandbox_table_name(unsigned number)
{
    if (number >= G_N_ELEMENTS(syscall_names) || !syscall_names[number][0])
        return NULL;
    return syscall_names[number];
}

unsigned sandbox_table_effective(SandboxRoles role)
{
    switch (role) {
    case SANDBOX_MAIN:
        return ALL;
    case SANDBOX_IOTHREAD:
        return IOTHREAD | WORKER;
    case SANDBOX_VCPU:
    case SANDBOX_WORKER:
        return role;
    }
    g_assert_not_reached();
}
