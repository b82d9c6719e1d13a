/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does with Hyper-V's interface what Windows does (Hypervisor Top Level Functional
 * Specification 6.0b, chapters 3, 4, 9, 10, 11, 12), and writes a line for each step: its
 * name and a hexadecimal number.
 *
 * Interrupts stay off: that one came is seen in the local APIC's request register.
 */
#include <stdint.h>

#include "flat.h"
#include "hardware.h"

#define MSR_GUEST_OS_ID 0x40000000u
#define MSR_HYPERCALL 0x40000001u
#define MSR_VP_INDEX 0x40000002u
#define MSR_VP_RUNTIME 0x40000010u
#define MSR_TIME_REF_COUNT 0x40000020u
#define MSR_REFERENCE_TSC 0x40000021u
#define MSR_TSC_FREQUENCY 0x40000022u
#define MSR_APIC_FREQUENCY 0x40000023u
#define MSR_EOI 0x40000070u
#define MSR_ICR 0x40000071u
#define MSR_TPR 0x40000072u
#define MSR_VP_ASSIST_PAGE 0x40000073u
#define MSR_SCONTROL 0x40000080u
#define MSR_SIMP 0x40000083u
#define MSR_SINT2 0x40000092u
#define MSR_STIMER0_CONFIG 0x400000b0u
#define MSR_STIMER0_COUNT 0x400000b1u

#define ENABLE 1u
#define OS_WINDOWS_10 0x00010a0000003839ull
#define CALL_FLUSH_ADDRESS_SPACE 0x0002u
#define CALL_SEND_IPI 0x000bu
#define CALL_NONE 0x3fffu
#define CALL_FAST 0x10000u
#define FLUSH_ALL 3u                    /* processors, address spaces */
#define ICR_SELF 0x40000u
#define SYNTHETIC_SOURCE 2u
#define STIMER_AUTO_ENABLE 8u
#define MESSAGE_SIZE 256u
#define MILLISECOND 10000u              /* in units of the reference time */

#define VECTOR_IPI 0x51u
#define VECTOR_ICR 0x52u
#define VECTOR_TIMER 0x53u
#define APIC_TPR 0xfee00080ul
#define APIC_SPIV 0xfee000f0ul
#define APIC_IRR 0xfee00200ul

typedef struct ReferenceTsc {
    uint32_t sequence;                  /* 0: to be read from the register */
    uint32_t pad;
    uint64_t scale;
    int64_t offset;
} ReferenceTsc;

static uint8_t call_page[4096] __attribute__((aligned(4096)));
static uint8_t assist_page[4096] __attribute__((aligned(4096)));
static uint8_t message_page[4096] __attribute__((aligned(4096)));
static volatile ReferenceTsc tsc_page __attribute__((aligned(4096)));
static uint64_t flush_input[4] __attribute__((aligned(32)));

static void write_text(const char *text)
{
    for (; *text; text++)
        say(*text);
}

static void tell(const char *name, uint64_t value)
{
    write_text(name);
    say(' ');
    for (int shift = 60; shift >= 0; shift -= 4)
        say("0123456789abcdef"[value >> shift & 15]);
    say('\n');
}

static uint16_t call(uint32_t control, uint64_t input, uint64_t output)
{
    uint64_t result = control;

    __asm__ volatile("call *%[page]"
                     : "+A"(result)
                     : [page] "m"((const void *){ call_page }),
                       "b"((uint32_t)(input >> 32)), "c"((uint32_t)input),
                       "D"((uint32_t)(output >> 32)), "S"((uint32_t)output)
                     : "memory");
    return (uint16_t)result;
}

static uint64_t requested(uint32_t vector)
{
    return get32(APIC_IRR + 0x10 * (vector / 32)) >> vector % 32 & 1;
}

static uint64_t high_product(uint64_t a, uint64_t b)
{
    uint64_t low = (a & 0xffffffffu) * (b & 0xffffffffu);
    uint64_t mid = (a >> 32) * (b & 0xffffffffu) + (low >> 32);
    uint64_t mid2 = (a & 0xffffffffu) * (b >> 32) + (mid & 0xffffffffu);

    return (a >> 32) * (b >> 32) + (mid >> 32) + (mid2 >> 32);
}

static void use_calls(void)
{
    write_msr(MSR_GUEST_OS_ID, OS_WINDOWS_10);
    write_msr(MSR_HYPERCALL, (uintptr_t)call_page | ENABLE);
    tell("hypercall-enabled", read_msr(MSR_HYPERCALL) & ENABLE);
    tell("call-of-none", call(CALL_NONE, 0, 0));
    flush_input[1] = FLUSH_ALL;
    tell("flush", call(CALL_FLUSH_ADDRESS_SPACE, (uintptr_t)flush_input, 0));
    tell("ipi", call(CALL_SEND_IPI | CALL_FAST, VECTOR_IPI, 1));
    tell("ipi-requested", requested(VECTOR_IPI));
}

static void use_apic(void)
{
    write_msr(MSR_VP_ASSIST_PAGE, (uintptr_t)assist_page | ENABLE);
    write_msr(MSR_ICR, ICR_SELF | VECTOR_ICR);
    tell("icr-requested", requested(VECTOR_ICR));
    write_msr(MSR_TPR, 0x20);
    tell("tpr", get32(APIC_TPR));
    write_msr(MSR_TPR, 0);
    write_msr(MSR_EOI, 0);
}

static void use_clocks(void)
{
    uint64_t before, by_page, after;

    write_msr(MSR_REFERENCE_TSC, (uintptr_t)&tsc_page | ENABLE);
    before = read_msr(MSR_TIME_REF_COUNT);
    by_page = high_product(read_tsc(), tsc_page.scale) + (uint64_t)tsc_page.offset;
    after = read_msr(MSR_TIME_REF_COUNT);
    tell("tsc-sequence", tsc_page.sequence);
    tell("time-before", before);
    tell("time-by-page", by_page);
    tell("time-after", after);
    tell("tsc-frequency", read_msr(MSR_TSC_FREQUENCY));
    tell("apic-frequency", read_msr(MSR_APIC_FREQUENCY));
    tell("vp-index", read_msr(MSR_VP_INDEX));
    tell("vp-runtime", read_msr(MSR_VP_RUNTIME));
}

/* A one-shot timer, whose message and interrupt come by a synthetic source. */
static void use_timer(void)
{
    uintptr_t message = (uintptr_t)message_page + SYNTHETIC_SOURCE * MESSAGE_SIZE;
    uint64_t due;

    write_msr(MSR_SIMP, (uintptr_t)message_page | ENABLE);
    write_msr(MSR_SINT2, VECTOR_TIMER);
    write_msr(MSR_SCONTROL, ENABLE);
    write_msr(MSR_STIMER0_CONFIG, SYNTHETIC_SOURCE << 16 | STIMER_AUTO_ENABLE);
    due = read_msr(MSR_TIME_REF_COUNT) + MILLISECOND;
    write_msr(MSR_STIMER0_COUNT, due);
    while (!get32(message))
        in8(COM1_STATUS);
    tell("message", get32(message));
    tell("message-late", get32(message + 32) - (uint32_t)due);
    tell("timer-requested", requested(VECTOR_TIMER));
}

void run(void)
{
    set32(APIC_SPIV, 0x1ff);
    use_calls();
    use_apic();
    use_clocks();
    use_timer();
    write_text("end\n");
    for (;;)
        __asm__ volatile("hlt");
}
