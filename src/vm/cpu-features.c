/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel SDM volume 2A, CPUID, and volume 3, appendix A (VMX) and volume 4 (MSRs); AMD APM
 * volume 3, appendix E; Linux, Documentation/virt/kvm/x86/cpuid.rst.
 *
 * Names are one text, so that they cost no relocation: a line a word, in the order of
 * CpuWord; in a line the names from bit 0 on, and ".N" for N bits without a name.  Bits
 * that change while the guest runs (OSXSAVE, OSPKE) have none.  A few names are those of
 * two bits, which are then set and cleared together.
 */
#include <string.h>

#include "cpu-features.h"

static const char all_names[] =
    "fpu vme de pse tsc msr pae mce cx8 apic .1 sep mtrr pge mca cmov pat pse36 "
    "pn clflush .1 ds acpi mmx fxsr sse sse2 ss ht tm ia64 pbe\n"
    "pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid .1 fma cx16 "
    "xtpr pdcm .1 pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes "
    "xsave .1 avx f16c rdrand hypervisor\n"
    ".2 arat\n"
    "fsgsbase tsc-adjust sgx bmi1 hle avx2 fdp-excptn-only smep bmi2 erms invpcid "
    "rtm .1 zero-fcs-fds mpx .1 avx512f avx512dq rdseed adx smap avx512ifma "
    "pcommit clflushopt clwb intel-pt avx512pf avx512er avx512cd sha-ni avx512bw "
    "avx512vl\n"
    ".1 avx512vbmi umip pku .1 waitpkg avx512vbmi2 cet-ss gfni vaes vpclmulqdq "
    "avx512vnni avx512bitalg .1 avx512-vpopcntdq .1 la57 .5 rdpid .1 "
    "bus-lock-detect cldemote .1 movdiri movdir64b .1 sgxlc pks\n"
    ".2 avx512-4vnniw avx512-4fmaps fsrm .3 avx512-vp2intersect .1 md-clear .3 "
    "serialize .1 tsx-ldtrk .2 arch-lbr cet-ibt .1 amx-bf16 avx512-fp16 amx-tile "
    "amx-int8 spec-ctrl stibp flush-l1d arch-capabilities core-capability ssbd\n"
    "sha512 sm3 sm4 .1 avx-vnni avx512-bf16 .1 cmpccxadd .2 fzrm fsrs fsrc .4 "
    "fred lkgs wrmsrns .1 amx-fp16 .1 avx-ifma .2 lam .4 movrs\n"
    ".5 msr-imm\n"
    ".4 avx-vnni-int8 avx-ne-convert .2 amx-complex .1 avx-vnni-int16 .3 "
    "prefetchiti .4 avx10 .1 apxf\n"
    "intel-psfd ipred-ctrl rrsba-ctrl ddpd-u bhi-ctrl mcdt-no\n"
    "xsaveopt xsavec xgetbv1 xsaves xfd\n"
    "sgx1 sgx2 .9 sgx-edeccssa\n"
    "sgx-exinfo\n"
    ".1 sgx-debug sgx-mode64 .1 sgx-provisionkey sgx-tokenkey .1 sgx-kss .2 "
    "sgx-aex-notify\n"
    ".31 intel-pt-lip\n"
    "amx-int8-alias amx-bf16-alias amx-complex-alias amx-fp16-alias amx-fp8 .1 "
    "amx-tf32 amx-avx512 amx-movrs\n"
    ".16 avx10-128 avx10-256 avx10-512\n"
    ".2 avx10-vnni-int\n"
    "apx-nci-ndd-nf\n"
    "kvmclock kvm-nopiodelay kvm-mmu kvmclock kvm-asyncpf kvm-steal-time "
    "kvm-pv-eoi kvm-pv-unhalt .1 kvm-pv-tlb-flush kvm-asyncpf-vmexit kvm-pv-ipi "
    "kvm-poll-control kvm-pv-sched-yield kvm-asyncpf-int kvm-msi-ext-dest-id .8 "
    "kvmclock-stable-bit\n"
    "kvm-hint-dedicated\n"
    ".11 syscall .8 nx .1 mmxext .2 fxsr-opt pdpe1gb rdtscp .1 lm 3dnowext 3dnow\n"
    "lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch "
    "osvw ibs xop skinit wdt .1 lwp fma4 tce .1 nodeid-msr .1 tbm topoext "
    "perfctr-core perfctr-nb\n"
    "overflow-recov succor\n"
    ".8 invtsc\n"
    "clzero .1 xsaveerptr .6 wbnoinvd .2 ibpb .1 ibrs amd-stibp .1 "
    "stibp-always-on .6 amd-ssbd virt-ssbd amd-no-ssb .1 amd-psfd\n"
    "npt lbrv svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists "
    ".2 pause-filter .1 pfthreshold avic .1 v-vmsave-vmload vgif gmet .7 vnmi .2 "
    "svme-addr-chk\n"
    "no-nested-data-bp fs-gs-base-ns lfence-always-serializing .2 verw-clear "
    "null-sel-clr-base .1 auto-ibrs .11 prefetchi .3 eraps .2 sbpb ibpb-brtype "
    "srso-no srso-user-kernel-no\n"
    ".1 tsa-sq-no tsa-l1-no\n"
    "perfmon-v2\n"
    "rdctl-no ibrs-all rsba skip-l1dfl-vmentry ssb-no mds-no pschange-mc-no "
    "tsx-ctrl taa-no .4 sbdr-ssdp-no fbsdp-no psdp-no .1 fb-clear .2 bhi-no .3 "
    "pbrsb-no .1 gds-no rfds-no rfds-clear .33 its-no\n"
    ".5 split-lock-detect\n"
    ".13 full-width-write\n"
    ".54 vmx-ins-outs vmx-true-ctls vmx-any-errcode .1 vmx-nested-exception\n"
    "vmx-intr-exit .2 vmx-nmi-exit .1 vmx-vnmi vmx-preemption-timer "
    "vmx-posted-intr\n"
    ".2 vmx-vintr-pending vmx-tsc-offset .3 vmx-hlt-exit .1 vmx-invlpg-exit "
    "vmx-mwait-exit vmx-rdpmc-exit vmx-rdtsc-exit .2 vmx-cr3-load-noexit "
    "vmx-cr3-store-noexit .2 vmx-cr8-load-exit vmx-cr8-store-exit "
    "vmx-flexpriority vmx-vnmi-pending vmx-movdr-exit vmx-io-exit vmx-io-bitmap "
    ".1 vmx-mtf vmx-msr-bitmap vmx-monitor-exit vmx-pause-exit vmx-secondary-ctls\n"
    "vmx-apicv-xapic vmx-ept vmx-desc-exit vmx-rdtscp-exit vmx-apicv-x2apic "
    "vmx-vpid vmx-wbinvd-exit vmx-unrestricted-guest vmx-apicv-register "
    "vmx-apicv-vid vmx-ple vmx-rdrand-exit vmx-invpcid-exit vmx-vmfunc "
    "vmx-shadow-vmcs vmx-encls-exit vmx-rdseed-exit vmx-pml .2 vmx-xsaves .1 "
    "vmx-mbec .2 vmx-tsc-scaling vmx-enable-user-wait-pause\n"
    ".2 vmx-exit-nosave-debugctl .9 vmx-exit-load-perf-global-ctrl .2 "
    "vmx-exit-ack-intr .2 vmx-exit-save-pat vmx-exit-load-pat vmx-exit-save-efer "
    "vmx-exit-load-efer vmx-exit-save-preemption-timer vmx-exit-clear-bndcfgs .1 "
    "vmx-exit-clear-rtit-ctl .2 vmx-exit-save-cet vmx-exit-load-pkrs .1 "
    "vmx-exit-secondary-ctls\n"
    ".2 vmx-entry-noload-debugctl .6 vmx-entry-ia32e-mode .3 "
    "vmx-entry-load-perf-global-ctrl vmx-entry-load-pat vmx-entry-load-efer "
    "vmx-entry-load-bndcfgs .1 vmx-entry-load-rtit-ctl .1 vmx-entry-load-cet .1 "
    "vmx-entry-load-pkrs vmx-entry-load-fred\n"
    ".5 vmx-store-lma vmx-activity-hlt vmx-activity-shutdown "
    "vmx-activity-wait-sipi .20 vmx-vmwrite-vmexit-fields vmx-zero-len-inject\n"
    "vmx-ept-execonly .5 vmx-page-walk-4 vmx-page-walk-5 .8 vmx-ept-2mb "
    "vmx-ept-1gb .2 vmx-invept vmx-eptad vmx-ept-advanced-exitinfo .2 "
    "vmx-invept-single-context vmx-invept-all-context .5 vmx-invvpid .7 "
    "vmx-invvpid-single-addr vmx-invept-single-context vmx-invvpid-all-context "
    "vmx-invept-single-context-noglobals\n"
    "vmx-eptp-switching\n";

#define LEAF(_function, _index, _reg, ...) \
    { .function = _function, .index = _index, .reg = CPUID_##_reg, __VA_ARGS__ }
#define MSR(_index) \
    { .function = _index, .is_msr = true }

static const CpuWordInfo infos[CPU_WORD__MAX] = {
    [CPU_WORD_1_EDX] = LEAF(0x1, 0, EDX, .unasked = 1u << 28),
    [CPU_WORD_1_ECX] = LEAF(0x1, 0, ECX),
    [CPU_WORD_6_EAX] = LEAF(0x6, 0, EAX),
    [CPU_WORD_7_0_EBX] = LEAF(0x7, 0, EBX),
    [CPU_WORD_7_0_ECX] = LEAF(0x7, 0, ECX),
    [CPU_WORD_7_0_EDX] = LEAF(0x7, 0, EDX),
    [CPU_WORD_7_1_EAX] = LEAF(0x7, 1, EAX),
    [CPU_WORD_7_1_ECX] = LEAF(0x7, 1, ECX),
    [CPU_WORD_7_1_EDX] = LEAF(0x7, 1, EDX),
    [CPU_WORD_7_2_EDX] = LEAF(0x7, 2, EDX),
    [CPU_WORD_D_1_EAX] = LEAF(0xd, 1, EAX),
    [CPU_WORD_12_0_EAX] = LEAF(0x12, 0, EAX),
    [CPU_WORD_12_0_EBX] = LEAF(0x12, 0, EBX),
    [CPU_WORD_12_1_EAX] = LEAF(0x12, 1, EAX),
    [CPU_WORD_14_0_ECX] = LEAF(0x14, 0, ECX),
    [CPU_WORD_1E_1_EAX] = LEAF(0x1e, 1, EAX),
    [CPU_WORD_24_0_EBX] = LEAF(0x24, 0, EBX),
    [CPU_WORD_24_1_ECX] = LEAF(0x24, 1, ECX),
    [CPU_WORD_29_0_EBX] = LEAF(0x29, 0, EBX),
    [CPU_WORD_KVM_EAX] = LEAF(0x40000001, 0, EAX),
    [CPU_WORD_KVM_EDX] = LEAF(0x40000001, 0, EDX, .unasked = ~0u),
    [CPU_WORD_80000001_EDX] = LEAF(0x80000001, 0, EDX),
    [CPU_WORD_80000001_ECX] = LEAF(0x80000001, 0, ECX),
    [CPU_WORD_80000007_EBX] = LEAF(0x80000007, 0, EBX),
    [CPU_WORD_80000007_EDX] = LEAF(0x80000007, 0, EDX, .unmigratable = 1u << 8),
    [CPU_WORD_80000008_EBX] = LEAF(0x80000008, 0, EBX),
    [CPU_WORD_8000000A_EDX] = LEAF(0x8000000a, 0, EDX),
    [CPU_WORD_80000021_EAX] = LEAF(0x80000021, 0, EAX),
    [CPU_WORD_80000021_ECX] = LEAF(0x80000021, 0, ECX),
    [CPU_WORD_80000022_EAX] = LEAF(0x80000022, 0, EAX),
    [CPU_WORD_ARCH_CAPABILITIES] = MSR(0x10a),
    [CPU_WORD_CORE_CAPABILITY] = MSR(0xcf),
    [CPU_WORD_PERF_CAPABILITIES] = MSR(0x345),
    [CPU_WORD_VMX_BASIC] = MSR(0x480),
    [CPU_WORD_VMX_PIN] = MSR(0x48d),
    [CPU_WORD_VMX_PROC] = MSR(0x48e),
    [CPU_WORD_VMX_PROC2] = MSR(0x48b),
    [CPU_WORD_VMX_EXIT] = MSR(0x48f),
    [CPU_WORD_VMX_ENTRY] = MSR(0x490),
    [CPU_WORD_VMX_MISC] = MSR(0x485),
    [CPU_WORD_VMX_EPT_VPID] = MSR(0x48c),
    [CPU_WORD_VMX_VMFUNC] = MSR(0x491),
};

typedef struct CpuFeatureAlias {
    char alias[12];
    char name[12];
} CpuFeatureAlias;

static const CpuFeatureAlias aliases[] = {
    { "sse3", "pni" },      { "pclmuldq", "pclmulqdq" }, { "sse4-1", "sse4.1" },
    { "sse4-2", "sse4.2" }, { "xd", "nx" },              { "ffxsr", "fxsr-opt" },
    { "i64", "lm" },        { "shstk", "cet-ss" },       { "ibt", "cet-ibt" },
};

/* By name; a name of two bits has two rows. */
typedef struct NamedBit {
    uint16_t name;              /* in all_names */
    CpuFeature bit;
} NamedBit;

struct CpuFeatureIndex {
    GArray *bits;               /* of NamedBit */
};

const CpuWordInfo *cpu_features_word(CpuWord word)
{
    return &infos[word];
}

/* The second bits of names that have two. */
static const CpuFeature seconds[] = {
    { CPU_WORD_KVM_EAX, 3 },            /* kvmclock */
    { CPU_WORD_VMX_EPT_VPID, 41 },      /* vmx-invept-single-context */
};

static bool is_second(CpuWord word, unsigned bit)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(seconds); i++) {
        if (seconds[i].word == word && seconds[i].bit == bit)
            return true;
    }
    return false;
}

void cpu_features_begin(CpuFeatureIter *iter)
{
    *iter = (CpuFeatureIter){ .next = all_names };
}

/* How many bits without a name ".3" stands for. */
static unsigned gap_size(const char *name)
{
    unsigned size = 0;

    for (const char *digit = name + 1; *digit; digit++)
        size = 10 * size + (unsigned)g_ascii_digit_value(*digit);
    return size;
}

/* Queries about all models go through all names hundreds of times. */
bool cpu_features_next(CpuFeatureIter *iter)
{
    while (*iter->next) {
        const char *token = iter->next;
        bool is_gap = token[0] == '.';
        size_t length = 0;

        for (; token[length] > ' '; length++)
            iter->name[length] = token[length];
        iter->name[length] = '\0';
        iter->token = token;
        iter->bit = iter->next_bit;
        iter->word = iter->next_word;
        iter->next_bit += is_gap ? gap_size(iter->name) : 1;
        if (token[length] == '\n') {
            iter->next_bit = 0;
            iter->next_word++;
        }
        iter->next = token + length + (token[length] != '\0');
        if (is_gap)
            continue;
        iter->again = is_second(iter->word, iter->bit);
        return true;
    }
    return false;
}

void cpu_features_named(CpuWords *ret_words)
{
    CpuFeatureIter iter;

    memset(ret_words, 0, sizeof(*ret_words));
    cpu_features_begin(&iter);
    while (cpu_features_next(&iter))
        ret_words->bits[iter.word] |= 1ull << iter.bit;
}

/* A name ends with a blank, a line or the text. */
static int compare_names(const char *a, const char *b)
{
    while (*a == *b && *a > ' ')
        a++, b++;
    return (*a > ' ' ? *a : 0) - (*b > ' ' ? *b : 0);
}

static gint compare_bits(gconstpointer a, gconstpointer b)
{
    const NamedBit *left = a, *right = b;

    return compare_names(all_names + left->name, all_names + right->name);
}

CpuFeatureIndex *cpu_features_index_new(void)
{
    CpuFeatureIndex *names = g_new(CpuFeatureIndex, 1);
    CpuFeatureIter iter;

    names->bits = g_array_new(FALSE, FALSE, sizeof(NamedBit));
    cpu_features_begin(&iter);
    while (cpu_features_next(&iter)) {
        NamedBit row = {
            .name = (uint16_t)(iter.token - all_names),
            .bit = { (uint8_t)iter.word, (uint8_t)iter.bit },
        };

        g_array_append_val(names->bits, row);
    }
    g_array_sort(names->bits, compare_bits);
    return names;
}

void cpu_features_index_free(CpuFeatureIndex *names)
{
    if (!names)
        return;
    g_array_unref(names->bits);
    g_free(names);
}

/* The name that the table has for @name; the caller frees. */
static char *canonical(const char *name)
{
    g_autofree char *dashed = g_strdelimit(g_strdup(name), "_", '-');

    for (unsigned i = 0; i < G_N_ELEMENTS(aliases); i++) {
        if (!strcmp(aliases[i].alias, dashed))
            return g_strdup(aliases[i].name);
    }
    return g_steal_pointer(&dashed);
}

/* Adds the bits of @name to @ret_words; false when there are none. */
static bool find_bits(const CpuFeatureIndex *names, const char *name, CpuWords *ret_words)
{
    const NamedBit *rows = (const NamedBit *)names->bits->data;
    unsigned begin = 0, end = names->bits->len, first;

    if (strpbrk(name, " \n"))
        return false;
    while (begin < end) {
        unsigned middle = (begin + end) / 2;

        if (compare_names(all_names + rows[middle].name, name) < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    first = begin;
    while (begin < names->bits->len &&
           compare_names(all_names + rows[begin].name, name) == 0)
        cpu_words_set(ret_words, rows[begin++].bit, true);
    return begin > first;
}

bool cpu_features_index_find(const CpuFeatureIndex *names, const char *name,
                             CpuWords *ret_words)
{
    CpuWords bits = { { 0 } };
    bool found = find_bits(names, name, &bits);

    if (!found) {
        g_autofree char *known = canonical(name);

        found = find_bits(names, known, &bits);
    }
    if (found && ret_words)
        *ret_words = bits;
    return found;
}

/* Where @name is in the list of names, from @from on; NULL: it is not there. */
static const char *find_token(const char *from, const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || name[0] == '.' || strpbrk(name, " \n"))
        return NULL;
    for (const char *at = strstr(from, name); at; at = strstr(at + length, name)) {
        if ((at == all_names || strchr(" \n", at[-1])) && strchr(" \n", at[length]))
            return at;
    }
    return NULL;
}

/* The bit of the name that is at @token; its word is that of the line. */
static CpuFeature bit_at(const char *token)
{
    CpuFeatureIter iter = { .next = token };

    while (iter.next > all_names && iter.next[-1] != '\n')
        iter.next--;
    for (const char *at = all_names; at < iter.next; at++)
        iter.next_word += *at == '\n';
    while (iter.next <= token && cpu_features_next(&iter))
        continue;
    return (CpuFeature){ (uint8_t)iter.word, (uint8_t)iter.bit };
}

bool cpu_features_find(const char *name, CpuWords *ret_words)
{
    g_autofree char *known = canonical(name);
    const char *token = find_token(all_names, known);
    bool found = token != NULL;

    memset(ret_words, 0, sizeof(*ret_words));
    for (; token; token = find_token(token + strlen(known), known))
        cpu_words_set(ret_words, bit_at(token), true);
    return found;
}

char *cpu_features_describe(CpuWord word, unsigned bit, const char *name)
{
    static const char regs[][4] = { "EAX", "EBX", "ECX", "EDX" };
    const CpuWordInfo *info = &infos[word];

    if (info->is_msr)
        return g_strdup_printf("MSR(%XH).%s [bit %u]", info->function, name, bit);
    if (info->function == 7 || info->function == 0xd || info->index > 0)
        return g_strdup_printf("CPUID[eax=%02Xh,ecx=%02Xh].%s.%s [bit %u]",
                               info->function, info->index, regs[info->reg], name, bit);
    return g_strdup_printf("CPUID[eax=%02Xh].%s.%s [bit %u]", info->function,
                           regs[info->reg], name, bit);
}

void cpu_features_help(GString *out)
{
    CpuFeatureIter iter;
    gsize line = out->len;

    cpu_features_begin(&iter);
    while (cpu_features_next(&iter)) {
        if (iter.again)
            continue;
        if (out->len > line && out->len - line + strlen(iter.name) > 76) {
            g_string_append_c(out, '\n');
            line = out->len;
        }
        g_string_append_printf(out, "%s%s", out->len == line ? "  " : " ", iter.name);
    }
    g_string_append_c(out, '\n');
}
