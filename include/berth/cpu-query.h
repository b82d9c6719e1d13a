/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions about processor models: which there are, what is in one, how two compare.
 *
 * Where a CpuHost is asked for, NULL is a host without a usable KVM: nothing can run.
 * Main only.
 */
#pragma once

#include "berth/cpuid.h"
#include "berth/json.h"

typedef struct CpuDefinition {
    char name[40];              /* "Nehalem" */
    char type[56];              /* "Nehalem-x86_64-cpu" */
    char alias_of[40];          /* "Nehalem-v1"; "" when it is no alias */
    char text[128];             /* for people */
    bool is_static;             /* never changes with berth's version */
    bool is_migration_safe;     /* the same on every host */
    GPtrArray *unavailable;     /* names of features that this host lacks */
} CpuDefinition;

/* All models, as many as "-cpu help" lists; an array of CpuDefinition, freed with it. */
GPtrArray *cpu_query_definitions(const CpuHost *host);
/* Their names alone, which need no look at what each of them has; in the same order. */
GPtrArray *cpu_query_names(void);

/* Whether there is a model of this name, or an alias. */
bool cpu_query_exists(const char *name);

/* Whether @text is an argument of "-cpu", on a host that has all of it. */
bool cpu_query_check(const char *text, GError **error);

/* What the names of models end with as types: "Nehalem-x86_64-cpu". */
#define CPU_QUERY_TYPE_SUFFIX "-x86_64-cpu"
/* "Nehalem" of that, whether there is such a model or not; NULL of a name that does not
 * end so.  The caller frees. */
char *cpu_query_model_of(const char *type);

/* A model and properties that differ from what it has: { "avx2": false }, or NULL. */
typedef struct CpuQuery {
    const char *model;
    const JsonValue *props;
} CpuQuery;

/* What a question is answered with. */
typedef struct CpuAnswer {
    char *model;
    JsonValue *props;
} CpuAnswer;

void cpu_query_clear(CpuAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CpuAnswer, cpu_query_clear)

/*
 * What the model stands for: all features as properties of "base" when @is_static, else
 * all properties of the model itself.
 */
bool cpu_query_expand(const CpuHost *host, const CpuQuery *query, bool is_static,
                      CpuAnswer *ret_answer, GError **error);

typedef enum CpuComparison {
    CPU_COMPARISON_INCOMPATIBLE,        /* each has what the other lacks */
    CPU_COMPARISON_IDENTICAL,
    CPU_COMPARISON_SUPERSET,            /* the first has more */
    CPU_COMPARISON_SUBSET,
} CpuComparison;

/* @ret_names: which features differ, an array of text that is freed with it. */
bool cpu_query_compare(const CpuHost *host, const CpuQuery *a, const CpuQuery *b,
                       CpuComparison *ret_result, GPtrArray **ret_names, GError **error);

/* The features that both have, as properties of "base". */
bool cpu_query_baseline(const CpuHost *host, const CpuQuery *a, const CpuQuery *b,
                        CpuAnswer *ret_answer, GError **error);

/* Every property that a processor has, with its type ("bool", "uint32", ...). */
typedef void CpuPropertyFn(void *opaque, const char *name, const char *type);
void cpu_query_properties(CpuPropertyFn *fn, void *opaque);

/* A property of the guest's processor; NULL for a name that it has not.  Main only. */
JsonValue *cpu_query_property(CpuModel *model, const char *name);
