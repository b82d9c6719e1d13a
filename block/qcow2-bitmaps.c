/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of bitmaps that an image carries.
 *
 * They are kept as they are.  One that is to record every write is marked as not saved
 * when the image is opened to be written: nobody records here, and whoever used it for a
 * backup would miss what the guest wrote.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"

#include "qcow2-clusters.h"
#include "qcow2-image.h"

void qcow2_bitmaps_free_entry(gpointer data)
{
    Qcow2Bitmap *bitmap = data;

    g_free(bitmap->name);
    g_free(bitmap);
}

static bool check(const Qcow2 *q, const Qcow2Bitmap *bitmap,
                  const Qcow2BitmapHeader *header, GError **error)
{
    uint64_t size = bitmap->n_table * sizeof(uint64_t);

    if (header->type == QCOW2_BITMAP_DIRTY_TRACKING &&
        header->granularity_bits >= QCOW2_BITMAP_MIN_GRANULARITY_BITS &&
        header->granularity_bits <= QCOW2_BITMAP_MAX_GRANULARITY_BITS &&
        !(bitmap->flags & ~(uint32_t)QCOW2_BITMAP_FLAGS_KNOWN) &&
        strlen(bitmap->name) > 0 &&
        bitmap->table_offset > 0 && qcow2_in_cluster(q, bitmap->table_offset) == 0 &&
        size <= QCOW2_MAX_BITMAP_SIZE && bitmap->table_offset <= QCOW2_OFFSET_MASK - size)
        return true;
    error_set(error, "the list of bitmaps has an entry that cannot be");
    return false;
}

/* The bytes of the entry at the beginning of @data; 0 with @error. */
static size_t parse(Qcow2 *q, const uint8_t *data, size_t size, GError **error)
{
    Qcow2BitmapHeader header;
    Qcow2Bitmap *bitmap;
    uint32_t extra_size;
    size_t name_size;

    if (size < sizeof(header)) {
        error_set(error, "the list of bitmaps ends within an entry");
        return 0;
    }
    memcpy(&header, data, sizeof(header));
    extra_size = GUINT32_FROM_BE(header.extra_size);
    name_size = GUINT16_FROM_BE(header.name_size);
    if (name_size > QCOW2_BITMAP_MAX_NAME || extra_size > 0 ||
        name_size > size - sizeof(header) ||
        memchr(data + sizeof(header), 0, name_size)) {
        error_set(error, "the list of bitmaps has an entry that is not known");
        return 0;
    }
    bitmap = g_new0(Qcow2Bitmap, 1);
    g_ptr_array_add(q->bitmap_list, bitmap);
    bitmap->table_offset = GUINT64_FROM_BE(header.table_offset);
    bitmap->n_table = GUINT32_FROM_BE(header.table_size);
    bitmap->flags = GUINT32_FROM_BE(header.flags);
    bitmap->granularity_bits = header.granularity_bits;
    bitmap->name = g_strndup((const char *)data + sizeof(header), name_size);
    if (!check(q, bitmap, &header, error))
        return 0;
    return ALIGN_UP(sizeof(header) + name_size, (size_t)8);
}

static uint8_t *read_directory(Qcow2 *q, GError **error)
{
    uint8_t *data = qcow2_disk_buffer(q, q->bitmaps.directory_size);
    int ret = data ? qcow2_disk_read(q, q->bitmaps.directory_offset, data,
                                     q->bitmaps.directory_size) : -ENOMEM;

    if (ret == 0)
        return data;
    error_set_errno(error, -ret, "cannot read the list of bitmaps");
    free(data);
    return NULL;
}

static bool parse_all(Qcow2 *q, const uint8_t *data, GError **error)
{
    size_t left = q->bitmaps.directory_size;
    uint64_t tables = 0;

    for (uint32_t i = 0; i < q->bitmaps.nb_bitmaps; i++) {
        size_t size = parse(q, data, left, error);

        if (size == 0)
            return false;
        size = MIN(size, left);
        data += size;
        left -= size;
        tables += ((const Qcow2Bitmap *)q->bitmap_list->pdata[i])->n_table;
    }
    if (left > 0)
        error_set(error, "the list of bitmaps goes on behind its last entry");
    else if (tables * sizeof(uint64_t) > QCOW2_MAX_BITMAPS_SIZE)
        error_set(error, "the tables of %u bitmaps have %" PRIu64 " entries",
                  q->bitmap_list->len, tables);
    else
        return true;
    return false;
}

bool qcow2_bitmaps_read(Qcow2 *q, GError **error)
{
    uint8_t *data;
    bool ok;

    if (!(q->autoclear & QCOW2_BITMAPS))
        return true;
    data = read_directory(q, error);
    ok = data && parse_all(q, data, error);
    free(data);
    return ok;
}

/* Marks in the directory's text; whether anything changed. */
static bool mark(Qcow2 *q, uint8_t *data)
{
    bool changed = false;
    size_t at = 0;

    for (guint i = 0; i < q->bitmap_list->len; i++) {
        Qcow2Bitmap *bitmap = q->bitmap_list->pdata[i];
        Qcow2BitmapHeader header;

        memcpy(&header, data + at, sizeof(header));
        if ((bitmap->flags & (QCOW2_BITMAP_AUTO | QCOW2_BITMAP_IN_USE)) ==
            QCOW2_BITMAP_AUTO) {
            bitmap->flags |= QCOW2_BITMAP_IN_USE;
            header.flags = GUINT32_TO_BE(bitmap->flags);
            memcpy(data + at, &header, sizeof(header));
            changed = true;
        }
        at += ALIGN_UP(sizeof(header) + strlen(bitmap->name), (size_t)8);
    }
    return changed;
}

bool qcow2_bitmaps_mark(Qcow2 *q, GError **error)
{
    uint8_t *data;
    int ret = 0;

    if (q->bitmap_list->len == 0)
        return true;
    data = read_directory(q, error);
    if (!data)
        return false;
    if (mark(q, data))
        ret = qcow2_disk_write(q, q->bitmaps.directory_offset, data,
                               q->bitmaps.directory_size);
    if (ret == 0)
        ret = qcow2_disk_flush(q);
    free(data);
    if (ret < 0)
        error_set_errno(error, -ret, "cannot write the list of bitmaps");
    return ret == 0;
}

uint64_t *qcow2_bitmaps_read_table(Qcow2 *q, const Qcow2Bitmap *bitmap, GError **error)
{
    uint64_t *table = g_try_malloc0_n(MAX(bitmap->n_table, 1), sizeof(*table));
    int ret = table ? qcow2_disk_read_words(q, bitmap->table_offset, table,
                                            bitmap->n_table) : -ENOMEM;

    if (ret == 0)
        return table;
    error_set_errno(error, -ret, "cannot read the table of bitmap '%s'", bitmap->name);
    g_free(table);
    return NULL;
}
