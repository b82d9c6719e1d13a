/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema as const data: what the generator writes into qapi-tables.c, and what the
 * interpreter, the dispatcher, introspection and help read.
 *
 * Rows hold offsets and indices instead of pointers, so that the tables need no
 * relocation: they stay in pages that all processes share.  Text is an offset into
 * qapi_text_pool (0 is the empty text); a type is its QapiTypeId (0 is none).
 */
#pragma once

#include "berth/qapi.h"

#define QAPI_NO_OFFSET UINT16_MAX

/* What a type is, and with it how its value lies in memory. */
typedef enum QapiMeta {
    QAPI_META_NULL,         /* bool, always true */
    QAPI_META_BOOL,
    QAPI_META_INT,          /* intN_t, N from size */
    QAPI_META_UINT,
    QAPI_META_SIZE,         /* uint64_t that the command line takes with a unit */
    QAPI_META_NUMBER,       /* double */
    QAPI_META_STR,          /* char *, owned */
    QAPI_META_ANY,          /* JsonValue *, owned */
    QAPI_META_ENUM,
    QAPI_META_STRUCT,       /* also unions: n_branches > 0; owned by pointer */
    QAPI_META_ALTERNATE,
    QAPI_META_LIST,
} QapiMeta;

typedef struct QapiType {
    uint32_t name;
    uint32_t doc;
    uint8_t meta;               /* QapiMeta */
    uint16_t size;              /* bytes; of the struct behind the pointer */
    uint16_t first;             /* members, enum values: qapi_members[first ...] */
    uint16_t n_members;
    uint16_t n_refused;         /* enum: names with the reason as doc, after the values */
    uint16_t n_aliases;         /* enum: names with the value as doc, after those */
    QapiTypeId element;         /* list */
    uint16_t tag;               /* union: index of the discriminator among the members */
    uint16_t first_branch;      /* union: qapi_branches[first_branch + tag's value] */
    uint16_t n_branches;
    uint16_t branch_offset;     /* of the C union in the struct */
} QapiType;

enum {
    QAPI_MEMBER_OPTIONAL = 1 << 0,
    QAPI_MEMBER_DEFAULT = 1 << 1,
};

/* A member of a struct, branch of an alternate, or (name and doc) value of an enum. */
typedef struct QapiMember {
    uint32_t name;
    uint32_t doc;
    uint32_t deflt;             /* the default as the command line spells it */
    QapiTypeId type;
    uint16_t offset;
    uint16_t has_offset;        /* of "bool has_x", QAPI_NO_OFFSET when there is none */
    uint16_t limit;             /* qapi_limits[limit], 0 for the type's own range */
    uint8_t flags;
    char unit;                  /* size: the unit of a text without one, 0 for bytes */
} QapiMember;

typedef struct QapiLimit {
    int64_t min;
    uint64_t max;               /* of a signed type: the bits of its int64_t */
} QapiLimit;

/* How a member, a value or an alias is not what users of QEMU expect of it. */
typedef struct QapiDifference {
    uint16_t member;            /* qapi_members[member] */
    uint32_t text;
} QapiDifference;

enum {
    QMP_COMMAND_ALLOW_PRECONFIG = 1 << 0,
    QMP_COMMAND_ALLOW_OOB = 1 << 1,
    QMP_COMMAND_ASYNC = 1 << 2,
};

/* A row of qmp_commands, in order of names; its index is QMP_COMMAND_FOO. */
typedef struct QmpCommand {
    uint32_t name;
    uint32_t doc;
    QapiTypeId args;
    QapiTypeId returns;
    uint32_t features;          /* words */
    uint8_t flags;
} QmpCommand;

typedef struct QmpEvent {
    uint32_t name;
    uint32_t doc;
    QapiTypeId data;
    uint32_t features;
} QmpEvent;

typedef enum CmdlineArg {
    CMDLINE_ARG_NONE,
    CMDLINE_ARG_STR,
    CMDLINE_ARG_DATA,
} CmdlineArg;

enum {
    CMDLINE_REPEAT = 1 << 0,    /* each occurrence is another thing */
    CMDLINE_MERGE = 1 << 1,     /* pairs of later occurrences are added to earlier ones */
    CMDLINE_JSON = 1 << 2,      /* a JSON object is understood too */
};

/* An option of the command line, in the schema's order. */
typedef struct CmdlineOption {
    uint32_t name;              /* without the dash */
    uint32_t short_name;
    uint32_t help;
    uint32_t implied;           /* the key of a first pair that has none */
    uint32_t group;             /* CMDLINE_ARG_DATA: its name in configuration files */
    QapiTypeId type;            /* CMDLINE_ARG_DATA */
    uint8_t arg;                /* CmdlineArg */
    uint8_t flags;
} CmdlineOption;

#define HMP_NO_QMP UINT16_MAX

/*
 * A command of the monitor for people, in order of names.  @args are its words, as
 * "device:c,size:i?": the name, the letter that says how it is read, "?" when it may be
 * left out; "-x" in place of the letter is a flag.
 */
typedef struct HmpCommand {
    uint32_t name;              /* "stop", "info status" */
    uint32_t alias;
    uint32_t args;
    uint32_t params;            /* the words as help shows them */
    uint32_t help;
    uint32_t refusal;           /* why there is no such thing; else empty */
    uint16_t qmp;               /* QMP_COMMAND_... that it is, HMP_NO_QMP for none */
} HmpCommand;

extern const char qapi_text_pool[];
extern const QapiType qapi_types[];
extern const unsigned qapi_n_types;
extern const QapiMember qapi_members[];
extern const uint16_t qapi_branches[];
extern const QapiLimit qapi_limits[];
extern const QapiDifference qapi_differences[];
extern const unsigned qapi_n_differences;
extern const QmpCommand qmp_commands[];
extern const unsigned qmp_n_commands;
extern const QmpEvent qmp_events[];
extern const unsigned qmp_n_events;
extern const CmdlineOption cmdline_options[];
extern const unsigned cmdline_n_options;
extern const HmpCommand hmp_commands[];
extern const unsigned hmp_n_commands;

static inline const char *qapi_text(uint32_t offset)
{
    return qapi_text_pool + offset;
}

static inline const QapiMember *qapi_type_members(const QapiType *type)
{
    return qapi_members + type->first;
}

/* The row of a value of enum @type, or of an alias of one; NULL when there is none. */
const QapiMember *qapi_enum_row(QapiTypeId type, const char *text);
/* How @member (of a struct, or a row of an enum) differs from QEMU; NULL: it does not. */
const char *qapi_difference(const QapiMember *member);
/* The member of a struct, or the base's of a union; NULL when there is none. */
const QapiMember *qapi_type_find(const QapiType *type, const char *name);
/* A struct of one text, "str", as lists have it: on the command line it is that text. */
bool qapi_type_is_text(const QapiType *type);

/*
 * @json, read as a value of @member and written again, so that texts have become what
 * they mean.  NULL with @error that names the member.
 */
JsonValue *qapi_parse_member(const QapiMember *member, const JsonValue *json,
                               QapiInput input, GError **error);

/* The struct that holds the members of a union when its discriminator is @value. */
static inline const QapiType *qapi_type_branch(const QapiType *type, unsigned value)
{
    return &qapi_types[qapi_branches[type->first_branch + value]];
}
