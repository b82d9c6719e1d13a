/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/vcpu-apic.h"

typedef struct Word {
    unsigned index;
    uint32_t value;
} Word;

typedef struct Case {
    const char *name;
    bool x2apic;
    Word words[12];
    const char *lines[10];      /* that are among the text's */
} Case;

static const Case cases[] = {
    { "lvt", false,
      { { 0x35, 0x8700 }, { 0x36, 0x8400 }, { 0x34, 0x1a0ef }, { 0x37, 0x10000 },
        { 0x33, 0x3200 }, { 0x32, 0x400ec } },
      { "LVT0\t 0x00008700 active-hi level                             ExtINT (vec 0)",
        "LVT1\t 0x00008400 active-hi level                             NMI   ",
        "LVTPC\t 0x0001a0ef active-lo level masked                      Fixed  (vec 239)",
        "LVTERR\t 0x00010000 active-hi edge  masked                      Fixed  (vec 0)",
        "LVTTHMR\t 0x00003200 active-lo edge         pending              "
        "SMI    (vec 0)",
        "LVTT\t 0x000400ec active-hi edge                 tsc-deadline Fixed  "
        "(vec 236)" } },
    { "timer", false, { { 0x3e, 0xb }, { 0x38, 1000 }, { 0x39, 7 } },
      { "Timer\t DCR=0xb (divide by 1) initial_count = 1000 current_count = 7" } },
    { "timer-slow", false, { { 0x3e, 0xa } },
      { "Timer\t DCR=0xa (divide by 128) initial_count = 0 current_count = 0" } },
    { "firmware", false,
      { { 0x0f, 0x1ff }, { 0x30, 0xc4610 }, { 0x0e, 0xffffffff } },
      { "SPIV\t 0x000001ff APIC enabled, focus=off, spurious vec 255",
        "ICR\t 0x000c4610 physical edge assert all", "ICR2\t 0x00000000",
        "ESR\t 0x00000000", "ISR\t (none)", "IRR\t (none)", "",
        "APR 0x00 TPR 0x00 DFR 0x0f LDR 0x00 PPR 0x00" } },
    { "destination", false, { { 0x30, 0xfd }, { 0x31, 0x03000000 } },
      { "ICR\t 0x000000fd physical edge de-assert no-shorthand",
        "ICR2\t 0x03000000 cpu 3 (APIC ID)" } },
    { "x2apic", true,
      { { 0x30, 0x8fd }, { 0x31, 0x10001 }, { 0x0d, 0x20001 }, { 0x0f, 0x0f },
        { 0x08, 0x20 }, { 0x0a, 0x30 } },
      { "SPIV\t 0x0000000f APIC disabled, focus=off, spurious vec 15",
        "ICR2\t 0x00010001 mask 0x10001 (X2APIC ID)",
        "APR 0x00 TPR 0x20 DFR 0x00 LDR 0x20001 PPR 0x30" } },
    { "vectors", false,
      { { 0x11, 1u << 1 }, { 0x27, 1u << 15 | 1u << 31 }, { 0x1f, 1u << 15 } },
      { "ISR\t 33 ", "IRR\t 239(level) 255 " } },
};

static void test_text(const void *opaque)
{
    const Case *row = opaque;
    VcpuApic apic = { .x2apic = row->x2apic };
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(row->words); i++) {
        if (row->words[i].index > 0)
            apic.words[row->words[i].index] = row->words[i].value;
    }
    text = vcpu_apic_text(&apic, 2);
    lines = g_strsplit(text, "\n", -1);

    g_assert_cmpstr(lines[0], ==, "dumping local APIC state for CPU 2 ");
    for (size_t i = 0; i < G_N_ELEMENTS(row->lines) && row->lines[i]; i++) {
        if (!g_strv_contains((const char *const *)lines, row->lines[i]))
            g_error("no line \"%s\" in:\n%s", row->lines[i], text);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/vcpu-apic/text/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_text);
    }
    return g_test_run();
}
