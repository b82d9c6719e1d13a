/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The named models: what a processor of each kind has.
 */
#pragma once

#include "cpu-cache.h"
#include "cpu-features.h"

typedef struct CpuModelRow {
    char name[32];              /* "Nehalem-v2" */
    char alias[32];             /* another name of this version: "Nehalem-IBRS", or "" */
    char id[49];                /* the brand string */
    char vendor[13];
    unsigned version;
    unsigned family;
    unsigned model;
    unsigned stepping;
    uint32_t level;
    uint32_t xlevel;
    unsigned func7;             /* the last index of leaf 7; more follows from features */
    unsigned avx10;
    bool levels_v2;             /* leaf 0x1f is there even with one die */
    const CpuCaches *caches;    /* NULL: the generic ones */
    CpuWords words;
} CpuModelRow;

/* All of them, each version a row, versions of a model in order. */
typedef struct CpuModels {
    CpuModelRow *rows;
    unsigned n;
} CpuModels;

CpuModels *cpu_models_new(const CpuFeatureIndex *names);
void cpu_models_free(CpuModels *models);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuModels, cpu_models_free)

/*
 * The row of "Nehalem-v2", of the alias "Nehalem-IBRS", or of "Nehalem", which is its
 * first version on every machine there is.  NULL when there is none.
 */
const CpuModelRow *cpu_models_find(const CpuModels *models, const char *name);

/* The name without the version: "Nehalem".  The caller frees. */
char *cpu_models_unversioned(const CpuModelRow *row);

/*
 * Why the model @name of QEMU is not offered, NULL when it is not one that berth leaves
 * out.
 */
const char *cpu_models_refusal(const char *name);

/* The texts; the language is cpu-models.c's. */
extern const char cpu_models_base[];
extern const char cpu_models_intel[];
extern const char cpu_models_amd[];
