/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The qcow2 format on disk; all numbers are big endian.  The names are the
 * specification's.
 */
#pragma once

#include "berth/base.h"

#define QCOW2_MAGIC 0x514649fbu         /* "QFI\xfb" */

enum {
    QCOW2_MIN_CLUSTER_BITS = 9,
    QCOW2_MAX_CLUSTER_BITS = 21,
    QCOW2_MIN_EXTENDED_CLUSTER_BITS = 14,
    QCOW2_MAX_REFCOUNT_ORDER = 6,
    QCOW2_V2_HEADER_SIZE = 72,
    QCOW2_V3_HEADER_SIZE = 104,
    QCOW2_MAX_BACKING_NAME = 1023,
    QCOW2_MAX_SNAPSHOTS = 65536,
    QCOW2_MAX_BITMAPS = 65535,
    QCOW2_SUBCLUSTERS = 32,
};

/* What an image may have us hold in memory; the limits of its other users. */
#define QCOW2_MAX_L1_SIZE (32 * MIB)
#define QCOW2_MAX_REFTABLE_SIZE (8 * MIB)
#define QCOW2_MAX_SNAPSHOT_TABLE_SIZE (64 * MIB)
#define QCOW2_MAX_SNAPSHOT_EXTRA_SIZE 1024u
#define QCOW2_MAX_BITMAP_DIRECTORY_SIZE (64 * MIB)
#define QCOW2_MAX_BITMAP_SIZE (512 * MIB)
/* And what it may have us read or guard, of all its snapshots and bitmaps together. */
#define QCOW2_MAX_SNAPSHOT_L1_SIZE (1024 * MIB)
#define QCOW2_MAX_BITMAPS_SIZE (1024 * MIB)

/* Incompatible features. */
#define QCOW2_DIRTY (1ull << 0)
#define QCOW2_CORRUPT (1ull << 1)
#define QCOW2_DATA_FILE (1ull << 2)
#define QCOW2_COMPRESSION (1ull << 3)
#define QCOW2_EXTENDED_L2 (1ull << 4)
#define QCOW2_INCOMPATIBLE_KNOWN ((1ull << 5) - 1)
/* Compatible. */
#define QCOW2_LAZY_REFCOUNTS (1ull << 0)
/* Autoclear. */
#define QCOW2_BITMAPS (1ull << 0)
#define QCOW2_DATA_FILE_RAW (1ull << 1)
#define QCOW2_AUTOCLEAR_KNOWN ((1ull << 2) - 1)

typedef enum Qcow2Compression {
    QCOW2_ZLIB = 0,
    QCOW2_ZSTD = 1,
} Qcow2Compression;

typedef struct __attribute__((packed)) Qcow2Header {
    uint32_t magic;
    uint32_t version;
    uint64_t backing_file_offset;
    uint32_t backing_file_size;
    uint32_t cluster_bits;
    uint64_t size;
    uint32_t crypt_method;
    uint32_t l1_size;
    uint64_t l1_table_offset;
    uint64_t refcount_table_offset;
    uint32_t refcount_table_clusters;
    uint32_t nb_snapshots;
    uint64_t snapshots_offset;
    /* Version 3. */
    uint64_t incompatible_features;
    uint64_t compatible_features;
    uint64_t autoclear_features;
    uint32_t refcount_order;
    uint32_t header_length;
    uint8_t compression_type;
    uint8_t padding[7];
} Qcow2Header;

G_STATIC_ASSERT(sizeof(Qcow2Header) == 112);

/* Header extensions: a type and a length of 32 bits each, data padded to 8 bytes. */
enum {
    QCOW2_EXT_END = 0,
    QCOW2_EXT_BACKING_FORMAT = 0xe2792aca,
    QCOW2_EXT_FEATURE_NAMES = 0x6803f857,
    QCOW2_EXT_BITMAPS = 0x23852875,
    QCOW2_EXT_ENCRYPTION = 0x0537be77,
    QCOW2_EXT_DATA_FILE = 0x44415441,
};

typedef struct __attribute__((packed)) Qcow2FeatureName {
    uint8_t kind;               /* 0 incompatible, 1 compatible, 2 autoclear */
    uint8_t bit;
    char name[46];
} Qcow2FeatureName;

typedef struct __attribute__((packed)) Qcow2BitmapsExt {
    uint32_t nb_bitmaps;
    uint32_t reserved;
    uint64_t directory_size;
    uint64_t directory_offset;
} Qcow2BitmapsExt;

/* Entries of L1 and L2 tables. */
#define QCOW2_COPIED (1ull << 63)
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO (1ull << 0)
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull
#define QCOW2_L1_RESERVED 0x7f000000000001ffull
#define QCOW2_L2_RESERVED 0x3f000000000001feull
#define QCOW2_REFTABLE_RESERVED 0x1ffull
/* The bitmap of an extended entry. */
#define QCOW2_ALL_ALLOCATED 0x00000000ffffffffull
#define QCOW2_ALL_ZERO 0xffffffff00000000ull

typedef struct __attribute__((packed)) Qcow2SnapshotHeader {
    uint64_t l1_table_offset;
    uint32_t l1_size;
    uint16_t id_size;
    uint16_t name_size;
    uint32_t date_sec;
    uint32_t date_nsec;
    uint64_t vm_clock_nsec;
    uint32_t vm_state_size;
    uint32_t extra_size;
} Qcow2SnapshotHeader;

typedef struct __attribute__((packed)) Qcow2BitmapHeader {
    uint64_t table_offset;
    uint32_t table_size;        /* entries */
    uint32_t flags;
    uint8_t type;
    uint8_t granularity_bits;
    uint16_t name_size;
    uint32_t extra_size;
} Qcow2BitmapHeader;

G_STATIC_ASSERT(sizeof(Qcow2SnapshotHeader) == 40);
G_STATIC_ASSERT(sizeof(Qcow2BitmapHeader) == 24);

enum {
    QCOW2_BITMAP_IN_USE = 1 << 0,
    QCOW2_BITMAP_AUTO = 1 << 1,
    QCOW2_BITMAP_EXTRA_COMPATIBLE = 1 << 2,
    QCOW2_BITMAP_FLAGS_KNOWN = (1 << 3) - 1,
    QCOW2_BITMAP_DIRTY_TRACKING = 1,
    QCOW2_BITMAP_MIN_GRANULARITY_BITS = 9,
    QCOW2_BITMAP_MAX_GRANULARITY_BITS = 31,
    QCOW2_BITMAP_MAX_NAME = 1023,
};
#define QCOW2_BITMAP_ALL_ONES (1ull << 0)
#define QCOW2_BITMAP_RESERVED 0xff000000000001feull
