/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each option of the schema goes in Cmdline.  Main only.
 */
#pragma once

#include "berth/cmdline.h"
#include "berth/qapi-option.h"

typedef enum SlotKind {
    SLOT_FLAG,                  /* bool */
    SLOT_MEANS,                 /* a pair of another option */
    SLOT_TEXT,                  /* char *, the last wins */
    SLOT_TEXTS,                 /* GPtrArray of char * */
    SLOT_MERGED,                /* a pointer to a value of the schema's type */
    SLOT_LIST,                  /* GPtrArray of such pointers */
    SLOT_GLOBAL,
    SLOT_SET,
    SLOT_READCONFIG,
    SLOT_HELP,
    SLOT_VERSION,
    SLOT_CHECK_HOST,
    SLOT_CHECK_ARGS,
    SLOT_CHECK_DOMAIN,          /* char * */
} SlotKind;

typedef struct Slot {
    const char *name;           /* as in the schema */
    SlotKind kind;
    size_t offset;              /* in Cmdline */
    JsonValue *(*rename)(const JsonValue *pairs);       /* other spellings of keys */
    const char *option;         /* SLOT_MEANS, with the pair */
    const char *key;
    const char *value;          /* NULL: the argument */
    const char *more;           /* further pairs, or NULL */
} Slot;

/* The slots, numbered from 0; NULL behind the last. */
const Slot *cmdline_slots_at(unsigned index);
/* The slot of option @name, without its dash; NULL when there is none. */
const Slot *cmdline_slots_find(const char *name);
unsigned cmdline_slots_index(const Slot *slot);

/* What the schema says of it. */
const CmdlineOption *cmdline_slots_option(const Slot *slot);

static inline void *cmdline_slots_field(Cmdline *cmdline, const Slot *slot)
{
    return (char *)cmdline + slot->offset;
}

/* The lists of a Cmdline that is otherwise zero; frees what its slots own. */
void cmdline_slots_init(Cmdline *cmdline);
void cmdline_slots_done(Cmdline *cmdline);

#define CMDLINE_SLOTS_MAX 128
