/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg with the DMA interface, as QEMU specifies it (docs/specs/fw_cfg).
 *
 *     0x510   selector, two bytes: sets the item and its offset to 0
 *     0x511   data: the item's next byte, 0 after its end
 *     0x514   address of a DMA descriptor, big-endian; the write of its low half runs it
 *
 * The guest's descriptor and its address are hostile: the descriptor is copied once, what
 * it names resolves to RAM only, a page at a time, and a transfer is bounded by the item:
 * one that reaches further than ZERO_MAX beyond its end fails.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/trace.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/fw-cfg.h"

#define SELECTOR 0u                     /* offsets of ports */
#define DATA 1u
#define DMA_HIGH 4u
#define DMA_LOW 8u

#define KEY_SIGNATURE 0x00u
#define KEY_ID 0x01u
#define KEY_FILE_DIR 0x19u
#define KEY_FILE_FIRST 0x20u
#define KEY_WRITE 0x4000u               /* a flag without a meaning today */
#define ID_VERSION 0x03u                /* the ports, and DMA */
#define FILES_MAX 256u

#define DMA_ERROR 0x01u
#define DMA_READ 0x02u
#define DMA_SKIP 0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE 0x10u
#define ZERO_MAX (64 * KIB)
#define PAGE 4096u

typedef struct FwCfgItem {
    char *name;                 /* NULL of an item without one */
    GBytes *bytes;              /* NULL: they are at @lent */
    uint8_t *lent;
    bool can_write;
    size_t size;
    FwCfgWrittenFn *written;
    void (*selected)(void *opaque);
    void *opaque;
} FwCfgItem;

struct FwCfg {
    Device dev;
    Region region;
    GHashTable *items;          /* of FwCfgItem by key, without files */
    GPtrArray *files;           /* of FwCfgItem, sorted by name */

    /* Under dev.lock. */
    uint16_t key;
    uint32_t offset;            /* in the item, up to its size */
    uint64_t dma_addr;
};

/* What the directory holds of each file, big-endian. */
typedef struct __attribute__((packed)) DirEntry {
    uint32_t size;
    uint16_t key;
    uint16_t reserved;
    char name[FW_CFG_NAME_MAX + 1];
} DirEntry;

G_STATIC_ASSERT(sizeof(DirEntry) == 64);

typedef struct __attribute__((packed)) DmaDescriptor {
    uint32_t control;
    uint32_t length;
    uint64_t address;
} DmaDescriptor;

static const uint8_t dma_signature[8] = { 'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G' };

static FwCfg *to_fw_cfg(Device *dev)
{
    return CONTAINER_OF(dev, FwCfg, dev);
}

static void item_free(void *opaque)
{
    FwCfgItem *item = opaque;

    g_free(item->name);
    if (item->bytes)
        g_bytes_unref(item->bytes);
    g_free(item);
}

static const uint8_t *item_data(const FwCfgItem *item)
{
    return item->bytes ? g_bytes_get_data(item->bytes, NULL) : item->lent;
}

/* The item that is selected, NULL for none. */
static FwCfgItem *selected(const FwCfg *fw_cfg)
{
    unsigned file = fw_cfg->key - KEY_FILE_FIRST;

    if (fw_cfg->key >= KEY_FILE_FIRST && file < fw_cfg->files->len)
        return fw_cfg->files->pdata[file];
    return g_hash_table_lookup(fw_cfg->items, GUINT_TO_POINTER(fw_cfg->key));
}

static size_t bytes_left(const FwCfg *fw_cfg, const FwCfgItem *item)
{
    return item && fw_cfg->offset < item->size ? item->size - fw_cfg->offset : 0;
}

static void select_item(FwCfg *fw_cfg, uint16_t key)
{
    const FwCfgItem *item;

    fw_cfg->key = key & ~KEY_WRITE;
    fw_cfg->offset = 0;
    TRACE(fw_cfg_select, "key 0x%04x", fw_cfg->key);
    item = selected(fw_cfg);
    if (item && item->selected)
        item->selected(item->opaque);
    if (!item)
        TRACE(unimp_fw_cfg, "key 0x%04x", fw_cfg->key);
}

static uint8_t read_byte(FwCfg *fw_cfg)
{
    FwCfgItem *item = selected(fw_cfg);

    if (bytes_left(fw_cfg, item) == 0)
        return 0;
    return item_data(item)[fw_cfg->offset++];
}

/* Walks [@gpa, @gpa + @size) of RAM; false when a part of it is none. */
static bool ram_copy(FwCfg *fw_cfg, uint64_t gpa, void *data, size_t size, bool to_guest)
{
    uint8_t *bytes = data;

    while (size > 0) {
        size_t part = MIN(size, PAGE - gpa % PAGE);
        void *ram = address_space_map(fw_cfg->dev.board->memory, gpa, part, to_guest);

        if (!ram)
            return false;
        if (to_guest)
            memmove(ram, bytes, part);
        else
            memmove(bytes, ram, part);
        gpa += part;
        bytes += part;
        size -= part;
    }
    return true;
}

static bool ram_clear(FwCfg *fw_cfg, uint64_t gpa, size_t size)
{
    static const uint8_t zeros[PAGE];

    while (size > 0) {
        size_t part = MIN(size, sizeof(zeros));

        if (!ram_copy(fw_cfg, gpa, (void *)zeros, part, true))
            return false;
        gpa += part;
        size -= part;
    }
    return true;
}

static bool dma_read(FwCfg *fw_cfg, uint64_t gpa, size_t length)
{
    FwCfgItem *item = selected(fw_cfg);
    size_t part = MIN(length, bytes_left(fw_cfg, item));
    size_t offset = fw_cfg->offset;

    if (length - part > ZERO_MAX)
        return false;
    fw_cfg->offset += part;
    if (part && !ram_copy(fw_cfg, gpa, (void *)(item_data(item) + offset), part, true))
        return false;
    return ram_clear(fw_cfg, gpa + part, length - part);
}

static bool dma_write(FwCfg *fw_cfg, uint64_t gpa, size_t length)
{
    FwCfgItem *item = selected(fw_cfg);
    size_t offset = fw_cfg->offset;

    if (!item || !item->can_write || length > bytes_left(fw_cfg, item))
        return false;
    fw_cfg->offset += length;
    if (!ram_copy(fw_cfg, gpa, item->lent + offset, length, false))
        return false;
    if (item->written)
        item->written(item->opaque);
    return true;
}

static bool dma_run(FwCfg *fw_cfg, const DmaDescriptor *dma)
{
    uint32_t control = GUINT32_FROM_BE(dma->control);
    size_t length = GUINT32_FROM_BE(dma->length);
    uint64_t gpa = GUINT64_FROM_BE(dma->address);

    if (control & DMA_SELECT)
        select_item(fw_cfg, control >> 16);
    if (control & DMA_READ)
        return dma_read(fw_cfg, gpa, length);
    if (control & DMA_WRITE)
        return dma_write(fw_cfg, gpa, length);
    if (control & DMA_SKIP)
        fw_cfg->offset += MIN(length, bytes_left(fw_cfg, selected(fw_cfg)));
    return true;
}

static void dma_start(FwCfg *fw_cfg, uint64_t gpa)
{
    DmaDescriptor dma;
    uint32_t result;

    if (!ram_copy(fw_cfg, gpa, &dma, sizeof(dma), false)) {
        device_guest_error(&fw_cfg->dev, "DMA descriptor at 0x%" PRIx64 " is not in RAM",
                           gpa);
        return;
    }
    result = dma_run(fw_cfg, &dma) ? 0 : GUINT32_TO_BE(DMA_ERROR);
    TRACE(fw_cfg_dma, "control 0x%x length %u address 0x%" PRIx64 ": %s",
          GUINT32_FROM_BE(dma.control), GUINT32_FROM_BE(dma.length),
          GUINT64_FROM_BE(dma.address), result ? "failed" : "done");
    gpa += offsetof(DmaDescriptor, control);
    ram_copy(fw_cfg, gpa, &result, sizeof(result), true);
}

static uint64_t fw_cfg_read(void *opaque, uint64_t offset, unsigned size)
{
    FwCfg *fw_cfg = opaque;
    uint64_t value = 0;

    if (offset == DATA && size == 1)
        return read_byte(fw_cfg);
    if (offset >= DMA_HIGH)
        memcpy(&value, &dma_signature[offset - DMA_HIGH], size);
    return GUINT64_FROM_LE(value);
}

static void fw_cfg_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    FwCfg *fw_cfg = opaque;
    uint32_t half = GUINT32_SWAP_LE_BE((uint32_t)value);
    uint64_t gpa;

    if (offset == SELECTOR && size == 2) {
        select_item(fw_cfg, value);
    } else if (offset == DMA_HIGH && size == 4) {
        fw_cfg->dma_addr = (uint64_t)half << 32;
    } else if (offset == DMA_LOW && size == 4) {
        gpa = fw_cfg->dma_addr | half;
        fw_cfg->dma_addr = 0;
        dma_start(fw_cfg, gpa);
    }
}

static const RegionOps fw_cfg_region_ops = {
    .read = fw_cfg_read,
    .write = fw_cfg_write,
    .min_size = 1,
    .max_size = 4,
};

static FwCfgItem *item_new(const char *name, GBytes *bytes)
{
    FwCfgItem *item = g_new0(FwCfgItem, 1);

    item->name = g_strdup(name);
    item->bytes = bytes;
    item->size = bytes ? g_bytes_get_size(bytes) : 0;
    return item;
}

static void put_item(FwCfg *fw_cfg, uint16_t key, GBytes *bytes)
{
    g_hash_table_replace(fw_cfg->items, GUINT_TO_POINTER(key), item_new(NULL, bytes));
}

static void update_directory(FwCfg *fw_cfg)
{
    g_autoptr(GByteArray) dir = g_byte_array_new();
    uint32_t count = GUINT32_TO_BE(fw_cfg->files->len);

    g_byte_array_append(dir, (const uint8_t *)&count, sizeof(count));
    for (guint i = 0; i < fw_cfg->files->len; i++) {
        const FwCfgItem *file = fw_cfg->files->pdata[i];
        DirEntry entry = {
            .size = GUINT32_TO_BE(file->size),
            .key = GUINT16_TO_BE(KEY_FILE_FIRST + i),
        };

        g_strlcpy(entry.name, file->name, sizeof(entry.name));
        g_byte_array_append(dir, (const uint8_t *)&entry, sizeof(entry));
    }
    put_item(fw_cfg, KEY_FILE_DIR, g_byte_array_free_to_bytes(g_steal_pointer(&dir)));
}

void fw_cfg_add_bytes(FwCfg *fw_cfg, uint16_t key, GBytes *bytes)
{
    g_assert(!g_hash_table_contains(fw_cfg->items, GUINT_TO_POINTER(key)));
    g_assert(g_bytes_get_size(bytes) <= UINT32_MAX);
    lock_take(&fw_cfg->dev.lock);
    put_item(fw_cfg, key, bytes);
    lock_drop(&fw_cfg->dev.lock);
}

void fw_cfg_add_number(FwCfg *fw_cfg, uint16_t key, uint64_t value, unsigned size)
{
    g_assert(!g_hash_table_contains(fw_cfg->items, GUINT_TO_POINTER(key)));
    fw_cfg_put_number(fw_cfg, key, value, size);
}

void fw_cfg_put_number(FwCfg *fw_cfg, uint16_t key, uint64_t value, unsigned size)
{
    uint64_t little = GUINT64_TO_LE(value);

    lock_take(&fw_cfg->dev.lock);
    put_item(fw_cfg, key, g_bytes_new(&little, size));
    lock_drop(&fw_cfg->dev.lock);
}

/* Whether a file of @size bytes can be added as @name, and in *@ret_index where. */
static bool find_place(FwCfg *fw_cfg, const char *name, size_t size, guint *ret_index,
                       GError **error)
{
    guint i;

    if (!*name || strlen(name) > FW_CFG_NAME_MAX) {
        error_set(error, "fw_cfg file '%s': a name has 1 to %u bytes", name,
                  FW_CFG_NAME_MAX);
        return false;
    }
    if (size > UINT32_MAX) {
        error_set(error, "fw_cfg file '%s' is larger than 4 GiB", name);
        return false;
    }
    if (fw_cfg->files->len == FILES_MAX) {
        error_set(error, "fw_cfg file '%s': there can be %u files", name, FILES_MAX);
        return false;
    }
    for (i = 0; i < fw_cfg->files->len; i++) {
        const FwCfgItem *file = fw_cfg->files->pdata[i];
        int order = strcmp(name, file->name);

        if (order == 0) {
            error_set(error, "there is a fw_cfg file '%s' already", name);
            return false;
        }
        if (order < 0)
            break;
    }
    *ret_index = i;
    return true;
}

static void insert_file(FwCfg *fw_cfg, guint index, FwCfgItem *file)
{
    lock_take(&fw_cfg->dev.lock);
    g_ptr_array_insert(fw_cfg->files, index, file);
    update_directory(fw_cfg);
    lock_drop(&fw_cfg->dev.lock);
}

bool fw_cfg_add_file(FwCfg *fw_cfg, const char *name, GBytes *bytes, GError **error)
{
    guint index;

    if (!find_place(fw_cfg, name, g_bytes_get_size(bytes), &index, error)) {
        g_bytes_unref(bytes);
        return false;
    }
    insert_file(fw_cfg, index, item_new(name, bytes));
    return true;
}

bool fw_cfg_put_file(FwCfg *fw_cfg, const char *name, GBytes *bytes, GError **error)
{
    for (guint i = 0; i < fw_cfg->files->len; i++) {
        FwCfgItem *file = fw_cfg->files->pdata[i];

        if (strcmp(file->name, name) != 0)
            continue;
        lock_take(&fw_cfg->dev.lock);
        item_free(file);
        fw_cfg->files->pdata[i] = item_new(name, bytes);
        update_directory(fw_cfg);
        lock_drop(&fw_cfg->dev.lock);
        return true;
    }
    return fw_cfg_add_file(fw_cfg, name, bytes, error);
}

bool fw_cfg_add_writable_file(FwCfg *fw_cfg, const FwCfgWritable *writable,
                              GError **error)
{
    FwCfgItem *file;
    guint index;

    if (!find_place(fw_cfg, writable->name, writable->size, &index, error))
        return false;
    file = item_new(writable->name, NULL);
    file->lent = writable->data;
    file->can_write = true;
    file->size = writable->size;
    file->written = writable->written;
    file->opaque = writable->opaque;
    insert_file(fw_cfg, index, file);
    return true;
}

bool fw_cfg_add_live_file(FwCfg *fw_cfg, const FwCfgLive *live, GError **error)
{
    FwCfgItem *file;
    guint index;

    if (!find_place(fw_cfg, live->name, live->size, &index, error))
        return false;
    file = item_new(live->name, NULL);
    file->lent = live->data;
    file->size = live->size;
    file->selected = live->selected;
    file->opaque = live->opaque;
    insert_file(fw_cfg, index, file);
    return true;
}

static void fw_cfg_reset(Device *dev)
{
    FwCfg *fw_cfg = to_fw_cfg(dev);

    lock_take(&dev->lock);
    select_item(fw_cfg, KEY_SIGNATURE);
    fw_cfg->dma_addr = 0;
    lock_drop(&dev->lock);
}

static bool fw_cfg_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    FwCfg *fw_cfg = to_fw_cfg(dev);

    fw_cfg->items = g_hash_table_new_full(NULL, NULL, NULL, item_free);
    fw_cfg->files = g_ptr_array_new_with_free_func(item_free);
    put_item(fw_cfg, KEY_SIGNATURE, g_bytes_new_static("QEMU", 4));
    fw_cfg_add_number(fw_cfg, KEY_ID, ID_VERSION, 4);
    update_directory(fw_cfg);
    region_init_io(&fw_cfg->region, "fw_cfg", X86_PORT_FW_CFG_SIZE, &fw_cfg_region_ops,
                   fw_cfg, &dev->lock);
    region_add(dev->board->io_root, X86_PORT_FW_CFG, &fw_cfg->region, 0);
    return true;
}

static void fw_cfg_unrealize(Device *dev)
{
    FwCfg *fw_cfg = to_fw_cfg(dev);

    region_done(&fw_cfg->region);
    g_hash_table_unref(fw_cfg->items);
    g_ptr_array_unref(fw_cfg->files);
}

static const VMStateField fw_cfg_fields[] = {
    VMSTATE_U16(FwCfg, key),
    VMSTATE_U32(FwCfg, offset),
    VMSTATE_U64(FwCfg, dma_addr),
    VMSTATE_END
};

static const VMStateDesc fw_cfg_vmstate = {
    .name = "fw_cfg",
    .version = 1,
    .min_version = 1,
    .fields = fw_cfg_fields,
};

static const DeviceClass fw_cfg_class = {
    .name = "fw_cfg_io",
    .description = "items for firmware and guests",
    .bus = BUS_NONE,
    .instance_size = sizeof(FwCfg),
    .vmstate = &fw_cfg_vmstate,
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
    .reset = fw_cfg_reset,
};

FwCfg *fw_cfg_add(DeviceTree *tree, GError **error)
{
    Device *dev = device_add_onboard(tree, &fw_cfg_class, "fw_cfg", NULL, error);

    return dev ? to_fw_cfg(dev) : NULL;
}

void fw_cfg_visit_files(DeviceTree *tree, FwCfgFileFn *fn, void *opaque)
{
    Device *dev = device_find(tree, "/machine/fw_cfg");
    const FwCfg *fw_cfg = dev ? to_fw_cfg(dev) : NULL;

    for (guint i = 0; fw_cfg && i < fw_cfg->files->len; i++) {
        const FwCfgItem *item = g_ptr_array_index(fw_cfg->files, i);

        fn(opaque, item->name, item->size);
    }
}
