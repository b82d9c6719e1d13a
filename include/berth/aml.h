/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes AML, the byte code of ACPI tables (ACPI 6.3, chapter 20), front to back.
 *
 * The calls stand in the order of the ASL text.  An operator is written by one call and
 * its operands by the calls that follow it; what ASL writes in braces ends with
 * aml_end():
 *
 *     aml_device(aml, "COM1");                     Device (COM1) {
 *         aml_name_eisaid(aml, "_HID", "PNP0501");     Name (_HID, EisaId ("PNP0501"))
 *         aml_method(aml, "_STA", 0, false);           Method (_STA) {
 *             aml_op(aml, AML_RETURN);                     Return (0x0F)
 *             aml_int(aml, 0x0f);
 *         aml_end(aml);                                }
 *     aml_end(aml);                                }
 *
 * Names are ASL's: segments of up to four characters joined by dots, after an optional
 * '\' or '^'. All input is berth's own: a wrong name or an unbalanced end is an
 * assertion.  Thread: any one.
 */
#pragma once

#include "berth/base.h"

#define AML_DEPTH_MAX 16

typedef enum AmlBlockKind {
    AML_BLOCK_PLAIN,            /* bytes follow the length */
    AML_BLOCK_BUFFER,           /* their number stands between length and bytes */
    AML_BLOCK_RESOURCES,        /* a buffer that ends with an end tag */
} AmlBlockKind;

typedef struct AmlBlock {
    AmlBlockKind kind;
    guint start;                /* of the bytes after the length */
} AmlBlock;

typedef struct Aml {
    GByteArray *out;            /* lent */
    unsigned depth;
    AmlBlock open[AML_DEPTH_MAX];
} Aml;

/* Operators without a length; operands follow, no target is aml_path(aml, ""). */
typedef enum AmlOp {
    AML_ONES = 0xff,
    AML_STORE = 0x70,           /* value, target */
    AML_ADD = 0x72,             /* a, b, target */
    AML_SUBTRACT = 0x74,
    AML_INCREMENT = 0x75,       /* target */
    AML_DECREMENT = 0x76,
    AML_SHIFT_LEFT = 0x79,      /* value, bits, target */
    AML_SHIFT_RIGHT = 0x7a,
    AML_AND = 0x7b,             /* a, b, target */
    AML_OR = 0x7d,
    AML_XOR = 0x7f,
    AML_NOT = 0x80,             /* a, target */
    AML_DEREF_OF = 0x83,
    AML_NOTIFY = 0x86,          /* object, value */
    AML_SIZE_OF = 0x87,
    AML_INDEX = 0x88,           /* object, index, target */
    AML_CREATE_DWORD_FIELD = 0x8a, /* buffer, byte offset, name */
    AML_CREATE_QWORD_FIELD = 0x8f,
    AML_LAND = 0x90,            /* a, b */
    AML_LOR = 0x91,
    AML_LNOT = 0x92,            /* a */
    AML_LEQUAL = 0x93,          /* a, b */
    AML_LGREATER = 0x94,
    AML_LLESS = 0x95,
    AML_RETURN = 0xa4,          /* value */
    AML_BREAK = 0xa5,
    AML_MUTEX = 0x5b01,         /* name, then aml_byte(): the sync level */
    AML_ACQUIRE = 0x5b23,       /* mutex, then aml_word(): ms, 0xffff for ever */
    AML_RELEASE = 0x5b27,       /* mutex */
} AmlOp;

typedef enum AmlSpace { AML_SYSTEM_MEMORY, AML_SYSTEM_IO, AML_PCI_CONFIG } AmlSpace;

typedef enum AmlAccess {
    AML_ACCESS_ANY,
    AML_ACCESS_BYTE,
    AML_ACCESS_WORD,
    AML_ACCESS_DWORD,
    AML_ACCESS_QWORD,
} AmlAccess;

/* What is written to a field's bits that the access does not name. */
typedef enum AmlUpdate { AML_PRESERVE, AML_WRITE_AS_ONES, AML_WRITE_AS_ZEROS } AmlUpdate;

/* A range that a bridge hands down (ACPI 6.3, 6.4.3.5): fixed, positively decoded. */
typedef enum AmlRange { AML_RANGE_MEMORY, AML_RANGE_IO, AML_RANGE_BUS } AmlRange;

/* Appends to @out. */
void aml_init(Aml *aml, GByteArray *out);
/* Asserts that every block was ended. */
void aml_done(Aml *aml);

/* Ends the innermost block that is open. */
void aml_end(Aml *aml);

/* Blocks. */
void aml_scope(Aml *aml, const char *path);
void aml_device(Aml *aml, const char *name);
void aml_method(Aml *aml, const char *name, unsigned n_args, bool serialized);
void aml_if(Aml *aml);          /* the predicate follows, then the body */
void aml_else(Aml *aml);        /* right after the end of an if */
void aml_while(Aml *aml);       /* the predicate follows, then the body */
void aml_package(Aml *aml, unsigned n_elements); /* up to 255 */
void aml_resources(Aml *aml);   /* aml_res_*() follow */
void aml_field(Aml *aml, const char *region, AmlAccess access, AmlUpdate update);

/* Inside aml_field(). */
void aml_field_bits(Aml *aml, const char *name, uint32_t n_bits);
void aml_field_skip(Aml *aml, uint32_t n_bits);

/* Values. */
void aml_int(Aml *aml, uint64_t value);
void aml_dword(Aml *aml, uint32_t value); /* in five bytes, however small */
void aml_string(Aml *aml, const char *text); /* 7-bit */
void aml_buffer(Aml *aml, const void *data, size_t size);
void aml_uuid(Aml *aml, const char *uuid); /* as ToUUID() orders the bytes */
void aml_eisaid(Aml *aml, const char *id);
void aml_path(Aml *aml, const char *path); /* also a call: the arguments follow */
void aml_arg(Aml *aml, unsigned n);
void aml_local(Aml *aml, unsigned n);
void aml_op(Aml *aml, AmlOp op);
void aml_byte(Aml *aml, uint8_t value);
void aml_word(Aml *aml, uint16_t value);

/* Named objects. */
void aml_name(Aml *aml, const char *name); /* the value follows */
void aml_name_int(Aml *aml, const char *name, uint64_t value);
void aml_name_string(Aml *aml, const char *name, const char *text);
void aml_name_eisaid(Aml *aml, const char *name, const char *id);
void aml_region(Aml *aml, const char *name, AmlSpace space, uint64_t offset,
                uint64_t size);

/* Inside aml_resources(). */
void aml_res_io(Aml *aml, uint16_t base, uint8_t size);
void aml_res_irq(Aml *aml, unsigned irq); /* 0 to 15: edge, active high, exclusive */
/* Level, active high, shared: one, or those of up to 255 that may be chosen. */
void aml_res_interrupts(Aml *aml, const uint32_t *gsis, unsigned n);
void aml_res_memory32(Aml *aml, uint32_t base, uint32_t size); /* read and write */
void aml_res_range16(Aml *aml, AmlRange range, uint16_t first, uint16_t last);
void aml_res_range32(Aml *aml, AmlRange range, uint32_t first, uint32_t last);
void aml_res_range64(Aml *aml, AmlRange range, uint64_t first, uint64_t last);
