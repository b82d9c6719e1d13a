/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a qcow2 image.
 *
 * All places are settled beforehand, one kind of cluster behind the other:
 *
 *     header | refcount table | L1 table | refcount blocks | L2 tables | the guest's
 *
 * the last two only with preallocation, and the last not with a data file, in which the
 * guest's clusters are where they are on its disk.  The header comes last, after all else
 * is on stable storage: what is not finished is no image.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"

#include "block-create.h"
#include "qcow2-format.h"

#define SECTOR 512u
#define BYTES_A_STEP (4 * MIB)

typedef struct Plan {
    unsigned cluster_bits;
    unsigned refcount_order;
    unsigned entry_words;       /* of 64 bits in an L2 entry */
    uint64_t n_l1;              /* entries */
    /* Clusters, in their order. */
    uint64_t n_reftable;
    uint64_t n_l1_clusters;
    uint64_t n_refblocks;
    uint64_t n_l2;
    uint64_t n_data;
    uint64_t n_mapped;          /* the guest's that L2 tables name */
    bool is_external;           /* they are in a data file */
} Plan;

static uint64_t cluster_size(const Plan *plan)
{
    return 1ull << plan->cluster_bits;
}

static uint64_t divide_up(uint64_t n, uint64_t by)
{
    return n / by + (n % by > 0);
}

static uint64_t reftable_at(const Plan *plan)
{
    return cluster_size(plan);
}

static uint64_t l1_at(const Plan *plan)
{
    return (1 + plan->n_reftable) << plan->cluster_bits;
}

static uint64_t refblocks_at(const Plan *plan)
{
    return l1_at(plan) + (plan->n_l1_clusters << plan->cluster_bits);
}

static uint64_t l2_at(const Plan *plan)
{
    return refblocks_at(plan) + (plan->n_refblocks << plan->cluster_bits);
}

static uint64_t data_at(const Plan *plan)
{
    return l2_at(plan) + (plan->n_l2 << plan->cluster_bits);
}

static uint64_t n_clusters(const Plan *plan)
{
    return (data_at(plan) >> plan->cluster_bits) + plan->n_data;
}

static uint64_t entries_a_table(const Plan *plan)
{
    return cluster_size(plan) / (sizeof(uint64_t) * plan->entry_words);
}

static bool is_power_of_two(uint64_t value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

static bool check_version(const BlockdevCreateOptionsQcow2 *options, GError **error)
{
    const char *parameter = NULL;

    if (options->version != BLOCKDEV_QCOW2_VERSION_V2)
        return true;
    if (options->data_file)
        parameter = "data-file";
    else if (options->lazy_refcounts)
        parameter = "lazy-refcounts";
    else if (options->refcount_bits != 16)
        parameter = "refcount-bits";
    else if (options->extended_l2)
        parameter = "extended-l2";
    else if (options->compression_type != QCOW2_COMPRESSION_TYPE_ZLIB)
        parameter = "compression-type";
    if (parameter)
        error_set(error, "parameter '%s' needs version v3", parameter);
    return !parameter;
}

static bool check_data_file(const BlockdevCreateOptionsQcow2 *options, GError **error)
{
    if (options->data_file_raw && !options->data_file)
        error_set(error, "parameter 'data-file-raw' needs 'data-file'");
    else if (options->data_file_raw && options->backing_file)
        error_set(error, "parameter 'data-file-raw' cannot be with 'backing-file'");
    else
        return check_version(options, error);
    return false;
}

static bool check_options(const BlockdevCreateOptionsQcow2 *options, GError **error)
{
    uint64_t least = options->extended_l2 ? 1u << QCOW2_MIN_EXTENDED_CLUSTER_BITS : 0;

    if (!is_power_of_two(options->cluster_size) || options->cluster_size < least)
        error_set(error, "parameter 'cluster-size' expects a power of two from 512%s",
                  least ? ", with extended-l2 from 16384" : "");
    else if (!is_power_of_two(options->refcount_bits))
        error_set(error, "parameter 'refcount-bits' expects a power of two up to 64");
    else if (options->size % SECTOR || options->size > INT64_MAX)
        error_set(error, "parameter 'size' expects a multiple of %u", SECTOR);
    else if (options->backing_file && !options->has_backing_fmt)
        error_set(error, "parameter 'backing-fmt' is missing: the format of an image is "
                  "never guessed");
    else if (!options->backing_file && options->has_backing_fmt)
        error_set(error, "parameter 'backing-fmt' needs 'backing-file'");
    else if (options->backing_file && options->preallocation != PREALLOC_MODE_OFF)
        error_set(error, "parameter 'preallocation' cannot be with 'backing-file', of "
                  "which nothing would be seen");
    else if (options->backing_file &&
             strlen(options->backing_file) > QCOW2_MAX_BACKING_NAME)
        error_set(error, "parameter 'backing-file' has more than %u bytes",
                  QCOW2_MAX_BACKING_NAME);
    else
        return check_data_file(options, error);
    return false;
}

/* Refcounts of the refcounts' own clusters are counted, too. */
static void plan_refcounts(Plan *plan)
{
    uint64_t a_block = (cluster_size(plan) * 8) >> plan->refcount_order;
    uint64_t before;

    do {
        before = plan->n_refblocks;
        plan->n_refblocks = divide_up(n_clusters(plan), a_block);
        plan->n_reftable =
            divide_up(plan->n_refblocks * sizeof(uint64_t), cluster_size(plan));
    } while (plan->n_refblocks != before || plan->n_refblocks <
             divide_up(n_clusters(plan), a_block));
}

static bool make_plan(Plan *plan, const BlockdevCreateOptionsQcow2 *options,
                      GError **error)
{
    bool is_full = options->preallocation != PREALLOC_MODE_OFF || options->data_file_raw;
    uint64_t n_data;

    plan->cluster_bits = (unsigned)__builtin_ctzll(options->cluster_size);
    plan->refcount_order = (unsigned)__builtin_ctz(options->refcount_bits);
    plan->entry_words = options->extended_l2 ? 2 : 1;
    n_data = divide_up(options->size, cluster_size(plan));
    plan->n_l1 = divide_up(n_data, entries_a_table(plan));
    plan->n_l1_clusters =
        divide_up(plan->n_l1 * sizeof(uint64_t), cluster_size(plan));
    plan->n_l2 = is_full ? plan->n_l1 : 0;
    plan->is_external = options->data_file;
    plan->n_mapped = is_full ? n_data : 0;
    plan->n_data = plan->is_external ? 0 : plan->n_mapped;
    if (plan->n_l1 <= QCOW2_MAX_L1_SIZE / sizeof(uint64_t)) {
        plan_refcounts(plan);
        if (plan->n_reftable << plan->cluster_bits <= QCOW2_MAX_REFTABLE_SIZE)
            return true;
    }
    error_set(error, "an image of %" PRIu64 " bytes needs larger clusters than %" PRIu64,
              options->size, cluster_size(plan));
    return false;
}

static bool write_at(BlockCreate *create, uint64_t offset, const void *data, size_t size)
{
    int ret = block_io_write(create->file, offset, data, size, 0);

    if (ret < 0)
        error_set_errno(&create->job.error, -ret, "cannot write to '%s'",
                        block_node_name(create->file));
    return ret == 0;
}

static bool flush_node(BlockCreate *create, BlockNode *node)
{
    int ret = block_io_flush(node);

    if (ret < 0)
        error_set_errno(&create->job.error, -ret, "cannot flush '%s'",
                        block_node_name(node));
    return ret == 0;
}

static bool flush(BlockCreate *create)
{
    return (!create->data || flush_node(create, create->data)) &&
        flush_node(create, create->file);
}

/* What is not written in the tables before the refcount blocks is zero. */
static bool clear_tables(BlockCreate *create, const Plan *plan)
{
    const BlockIo io = {
        .op = BLOCK_OP_ZERO, .offset = 0, .bytes = refblocks_at(plan),
    };
    int ret = block_io(create->file, &io);

    if (ret < 0)
        error_set_errno(&create->job.error, -ret, "cannot clear '%s'",
                        block_node_name(create->file));
    return ret == 0;
}

/* A table of @n entries that name clusters one behind the other, from @first on. */
static bool write_table(BlockCreate *create, const Plan *plan, uint64_t offset,
                        uint64_t n, uint64_t first, uint64_t flags)
{
    g_autofree uint64_t *table = g_new0(uint64_t, MAX(n, 1));

    for (uint64_t i = 0; i < n; i++)
        table[i] = GUINT64_TO_BE((first + (i << plan->cluster_bits)) | flags);
    return n == 0 || write_at(create, offset, table, n * sizeof(uint64_t));
}

/* One cluster of refcounts, each of them 1. */
static void fill_refblock(const Plan *plan, uint64_t index, uint8_t *block)
{
    unsigned order = plan->refcount_order;
    uint64_t a_block = (cluster_size(plan) * 8) >> order;
    uint64_t n = MIN(a_block, n_clusters(plan) - index * a_block);

    for (uint64_t i = 0; i < n; i++) {
        if (order >= 3)
            block[((i + 1) << (order - 3)) - 1] = 1;
        else
            block[(i << order) / 8] |= (uint8_t)(1u << (i << order) % 8);
    }
}

static void fill_l2(const Plan *plan, uint64_t index, uint8_t *table)
{
    uint64_t a_table = entries_a_table(plan);
    uint64_t first = index * a_table;
    uint64_t n = MIN(a_table, plan->n_mapped - first);
    uint64_t from = plan->is_external ? 0 : data_at(plan);
    uint64_t *words = (uint64_t *)table;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t offset = from + ((first + i) << plan->cluster_bits);

        words[i * plan->entry_words] = GUINT64_TO_BE(offset | QCOW2_COPIED);
        if (plan->entry_words == 2)
            words[i * 2 + 1] = GUINT64_TO_BE(QCOW2_ALL_ALLOCATED);
    }
}

/* Refcount blocks and L2 tables from number create->done on, as many as a step may. */
static bool write_clusters(BlockCreate *create, const Plan *plan)
{
    uint64_t end = plan->n_refblocks + plan->n_l2;
    uint64_t n = MIN(end - create->done, BYTES_A_STEP >> plan->cluster_bits);
    g_autofree uint8_t *bytes = g_malloc0(n << plan->cluster_bits);

    for (uint64_t i = 0; i < n; i++) {
        uint64_t number = create->done + i;
        uint8_t *cluster = bytes + (i << plan->cluster_bits);

        if (number < plan->n_refblocks)
            fill_refblock(plan, number, cluster);
        else
            fill_l2(plan, number - plan->n_refblocks, cluster);
    }
    if (!write_at(create, refblocks_at(plan) + (create->done << plan->cluster_bits),
                  bytes, n << plan->cluster_bits))
        return false;
    create->done += n;
    return true;
}

static uint8_t *add_extension(uint8_t *at, uint32_t type, const char *text)
{
    uint32_t head[2] = { GUINT32_TO_BE(type), GUINT32_TO_BE((uint32_t)strlen(text)) };

    memcpy(at, head, sizeof(head));
    memcpy(at + sizeof(head), text, strlen(text));
    return at + sizeof(head) + ALIGN_UP(strlen(text), (size_t)8);
}

static Qcow2Header make_header(const Plan *plan,
                               const BlockdevCreateOptionsQcow2 *options)
{
    bool is_zstd = options->compression_type == QCOW2_COMPRESSION_TYPE_ZSTD;
    uint64_t incompatible = (is_zstd ? QCOW2_COMPRESSION : 0) |
                            (options->extended_l2 ? QCOW2_EXTENDED_L2 : 0) |
                            (options->data_file ? QCOW2_DATA_FILE : 0);

    return (Qcow2Header) {
        .magic = GUINT32_TO_BE(QCOW2_MAGIC),
        .version = GUINT32_TO_BE(options->version == BLOCKDEV_QCOW2_VERSION_V2 ? 2 : 3),
        .cluster_bits = GUINT32_TO_BE(plan->cluster_bits),
        .size = GUINT64_TO_BE(options->size),
        .l1_size = GUINT32_TO_BE((uint32_t)plan->n_l1),
        .l1_table_offset = GUINT64_TO_BE(plan->n_l1 > 0 ? l1_at(plan) : 0),
        .refcount_table_offset = GUINT64_TO_BE(reftable_at(plan)),
        .refcount_table_clusters = GUINT32_TO_BE((uint32_t)plan->n_reftable),
        .incompatible_features = GUINT64_TO_BE(incompatible),
        .compatible_features =
            GUINT64_TO_BE(options->lazy_refcounts ? QCOW2_LAZY_REFCOUNTS : 0),
        .autoclear_features =
            GUINT64_TO_BE(options->data_file_raw ? QCOW2_DATA_FILE_RAW : 0),
        .refcount_order = GUINT32_TO_BE(plan->refcount_order),
        .header_length = GUINT32_TO_BE(sizeof(Qcow2Header)),
        .compression_type = is_zstd ? QCOW2_ZSTD : QCOW2_ZLIB,
    };
}

/* The path by which the image names its data file; NULL: it has none. */
static const char *data_file_name(const BlockCreate *create)
{
    const BlockNode *node = create->data;

    while (node && block_node_storage(node))
        node = block_node_storage(node);
    if (node && node->options->driver == BLOCKDEV_DRIVER_FILE)
        return node->options->u.file.filename;
    if (node && node->options->driver == BLOCKDEV_DRIVER_HOST_DEVICE)
        return node->options->u.host_device.filename;
    return NULL;
}

static bool write_header(BlockCreate *create, const Plan *plan,
                         const BlockdevCreateOptionsQcow2 *options)
{
    bool is_v2 = options->version == BLOCKDEV_QCOW2_VERSION_V2;
    size_t length = is_v2 ? QCOW2_V2_HEADER_SIZE : sizeof(Qcow2Header);
    size_t name_size = options->backing_file ? strlen(options->backing_file) : 0;
    const char *data_name = data_file_name(create);
    /* The header, extensions of names and of one short text, the last one, the name. */
    g_autofree uint8_t *bytes = g_malloc0(cluster_size(plan) + 256 + name_size +
                                          (data_name ? strlen(data_name) : 0));
    uint8_t *end = bytes + length;
    Qcow2Header header = make_header(plan, options);

    if (data_name)
        end = add_extension(end, QCOW2_EXT_DATA_FILE, data_name);
    if (options->backing_file) {
        end = add_extension(end, QCOW2_EXT_BACKING_FORMAT,
                            BlockdevDriver_str(options->backing_fmt));
        end = add_extension(end, QCOW2_EXT_END, "");
        header.backing_file_offset = GUINT64_TO_BE((uint64_t)(end - bytes));
        header.backing_file_size = GUINT32_TO_BE((uint32_t)name_size);
        memcpy(end, options->backing_file, name_size);
        end += name_size;
    }
    memcpy(bytes, &header, length);
    if ((size_t)(end - bytes) <= cluster_size(plan))
        return write_at(create, 0, bytes, cluster_size(plan));
    error_set(&create->job.error, "the names of other files do not fit into a cluster "
              "of %" PRIu64 " bytes", cluster_size(plan));
    return false;
}

/* What the data file has stays when it is the disk's. */
static bool empty_data(BlockCreate *create, const BlockdevCreateOptionsQcow2 *options)
{
    GError **error = &create->job.error;

    if (options->data_file_raw)
        return true;
    if (!block_node_resize(create->data, 0, PREALLOC_MODE_OFF, error))
        return false;
    if (block_node_size(create->data) == 0 || options->preallocation == PREALLOC_MODE_OFF)
        return true;
    error_set(error, "parameter 'preallocation': '%s' cannot be emptied",
              block_node_name(create->data));
    return false;
}

/* It gets the size of the disk. */
static bool begin_data(BlockCreate *create, const BlockdevCreateOptionsQcow2 *options)
{
    const char *name = data_file_name(create);
    PreallocMode mode = options->preallocation == PREALLOC_MODE_METADATA
        ? PREALLOC_MODE_OFF : options->preallocation;

    if (!create->data)
        return true;
    if (name && strlen(name) <= QCOW2_MAX_BACKING_NAME)
        return empty_data(create, options) &&
            block_node_resize(create->data, options->size, mode, &create->job.error);
    error_set(&create->job.error, "parameter 'data-file': node '%s' has no file with a "
              "name of up to %u bytes", block_node_name(create->data),
              QCOW2_MAX_BACKING_NAME);
    return false;
}

/* The file is empty, and then as large as the plan says. */
static bool begin(BlockCreate *create, const BlockdevCreateOptionsQcow2 *options)
{
    GError **error = &create->job.error;
    Plan *plan = create->state = g_new0(Plan, 1);
    PreallocMode mode = options->preallocation == PREALLOC_MODE_METADATA ||
            options->data_file ? PREALLOC_MODE_OFF : options->preallocation;
    uint64_t size;

    if (!check_options(options, error) || !make_plan(plan, options, error) ||
        !begin_data(create, options))
        return false;
    size = n_clusters(plan) << plan->cluster_bits;
    if (!block_node_resize(create->file, 0, PREALLOC_MODE_OFF, error))
        return false;
    if (block_node_size(create->file) > 0 && plan->n_data > 0) {
        /* A block device: what was on it would be in the image. */
        error_set(error, "parameter 'preallocation': '%s' cannot be emptied",
                  block_node_name(create->file));
        return false;
    }
    return block_node_resize(create->file, size, mode, error);
}

static bool finish(BlockCreate *create, const Plan *plan,
                   const BlockdevCreateOptionsQcow2 *options)
{
    return clear_tables(create, plan) &&
        write_table(create, plan, reftable_at(plan), plan->n_refblocks,
                    refblocks_at(plan), 0) &&
        write_table(create, plan, l1_at(plan), plan->n_l2, l2_at(plan), QCOW2_COPIED) &&
        flush(create) && write_header(create, plan, options) && flush(create);
}

JobStep qcow2_create_step(BlockCreate *create, const BlockdevCreateOptionsQcow2 *options)
{
    const Plan *plan = create->state;
    uint64_t end;

    if (!plan)
        return begin(create, options) ? JOB_STEP_MORE : JOB_STEP_FAILED;
    end = plan->n_refblocks + plan->n_l2;
    if (create->done == end)
        return finish(create, plan, options) ? JOB_STEP_DONE : JOB_STEP_FAILED;
    if (!write_clusters(create, plan))
        return JOB_STEP_FAILED;
    job_set_progress(&create->job, create->done, end + 1);
    return JOB_STEP_MORE;
}
