/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report of "--check-host": one line a finding, and whether a stock guest can run.
 *
 * A software KVM has the whole API and none of the processor's help: it emulates what a
 * guest's kernel does, too slowly and not completely enough for a stock one.  It is
 * known by the processor's flags, since KVM itself does not say.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "berth/error.h"
#include "berth/vm.h"

#include "vm-kvm.h"

typedef struct HostCheck {
    FILE *out;
    bool can_run;
} HostCheck;

static void report(HostCheck *check, const char *what, bool ok, bool required,
                   const char *meaning)
{
    const char *state = ok ? "ok" : required ? "MISSING" : "missing";

    fprintf(check->out, "%-34s %-8s %s\n", what, state, meaning);
    if (!ok && required)
        check->can_run = false;
}

/* Whether the first processor has @flag. */
static bool cpu_has_flag(const char *flag)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) flags = NULL;
    const char *start, *end;
    g_autofree char *line = NULL;

    if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL))
        return false;
    start = strstr(text, "\nflags");
    start = start ? strchr(start, ':') : NULL;
    if (!start)
        return false;
    end = strchrnul(start, '\n');
    line = g_strndup(start + 1, (size_t)(end - start) - 1);
    flags = g_strsplit(line, " ", -1);
    return g_strv_contains((const char *const *)flags, flag);
}

static void check_processor(HostCheck *check)
{
    if (cpu_has_flag("vmx"))
        report(check, "processor virtualization", true, true, "Intel VMX");
    else if (cpu_has_flag("svm"))
        report(check, "processor virtualization", true, true, "AMD SVM");
    else
        report(check, "processor virtualization", false, true,
               "neither vmx nor svm in /proc/cpuinfo: a KVM here is software, on which "
               "a stock guest cannot run");
}

static const char *open_advice(int err)
{
    switch (err) {
    case ENOENT:
        return "no such file: load the module kvm_intel or kvm_amd, or turn "
               "virtualization on in the firmware";
    case EACCES:
    case EPERM:
        return "permission denied: run as root, or join the group that owns it";
    case ENODEV:
    case ENXIO:
        return "the device is there, but no KVM module answers";
    default:
        return error_text(err);
    }
}

static int check_device(HostCheck *check)
{
    g_autofd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int version;

    if (fd < 0) {
        report(check, "/dev/kvm", false, true, open_advice(errno));
        return -1;
    }
    report(check, "/dev/kvm", true, true, "can be opened");
    version = vm_kvm_ioctl(fd, KVM_GET_API_VERSION, NULL);
    report(check, "KVM API", version == KVM_API_VERSION, true,
           version == KVM_API_VERSION ? "version 12" : "another version than 12");
    return version == KVM_API_VERSION ? autofd_steal(&fd) : -1;
}

static void check_caps(HostCheck *check, int kvm_fd)
{
    const VmKvmCap *cap;

    for (unsigned i = 0; (cap = vm_kvm_caps_get(i)); i++) {
        int got = vm_kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, GINT_TO_POINTER(cap->cap));

        report(check, cap->name, got >= cap->least, cap->required, cap->use);
    }
}

static void check_limits(HostCheck *check, int kvm_fd)
{
    int soft = vm_kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_NR_VCPUS);
    int hard = vm_kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_MAX_VCPUS);
    int slots = vm_kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_NR_MEMSLOTS);

    fprintf(check->out, "%-34s %-8d recommended by KVM %d, of berth %d\n", "most vCPUs",
            MIN(hard, VM_MAX_VCPUS), soft, VM_MAX_VCPUS);
    fprintf(check->out, "%-34s %-8d\n", "most memory slots", slots);
}

bool vm_kvm_check_host(FILE *out)
{
    HostCheck check = { .out = out, .can_run = true };
    g_autofd int kvm_fd = -1;

    check_processor(&check);
    kvm_fd = check_device(&check);
    if (kvm_fd >= 0) {
        check_caps(&check, kvm_fd);
        check_limits(&check, kvm_fd);
    }
    fprintf(out, "%s\n", check.can_run ? "a stock guest can run on this host"
                                       : "a stock guest cannot run on this host");
    return check.can_run;
}
