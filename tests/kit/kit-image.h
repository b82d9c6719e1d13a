/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk images in a folder of their own, and what other programs say of them.
 */
#pragma once

#include "berth/block-driver.h"

typedef struct KitImage {
    Loop *loop;
    BlockGraph *graph;
    char *folder;
} KitImage;

/* Whether qemu-img is here; else the test is skipped. */
bool kit_image_has_tools(void);

void kit_image_init(KitImage *kit);
/* Closes all nodes, and removes the folder. */
void kit_image_done(KitImage *kit);

/* The path of @name in the folder; the caller frees. */
char *kit_image_path(const KitImage *kit, const char *name);

/* Runs a command line in the folder; its exit status, and its output if it is wanted. */
int kit_image_run(const KitImage *kit, char **ret_output, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* The same, and it is to succeed. */
void kit_image_do(const KitImage *kit, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Adds a node; NULL with @error. */
BlockNode *kit_image_try_open(KitImage *kit, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* The same, and it is to succeed. */
BlockNode *kit_image_open(KitImage *kit, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Closes all nodes. */
void kit_image_close(KitImage *kit);

/* A file of @size bytes of @data. */
void kit_image_write_file(const KitImage *kit, const char *name, const void *data,
                          size_t size);
/*
 * What qemu-img says; with a sanitizer it is asked one time in eight, since it says the
 * same to a program without.  Nothing is wrong with the image, and it has no leaks.
 */
void kit_image_assert_clean(const KitImage *kit, const char *name);
/* Nothing but leaks. */
void kit_image_assert_sound(const KitImage *kit, const char *name);
/* The disk in the image has these bytes, as qemu-img reads it. */
void kit_image_assert_holds(const KitImage *kit, const char *name, const uint8_t *data,
                            size_t size);
/* Bytes that a generator gives: no two sectors are alike. */
void kit_image_fill(GRand *rand, uint8_t *data, size_t size);
