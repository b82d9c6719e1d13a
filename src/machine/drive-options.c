/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where QEMU guesses, this asks: a format is named, and so is the interface, of which
 * QEMU's default is not there.
 */
#include <string.h>
#include <sys/stat.h>

#include "berth/ata-unit.h"
#include "berth/error.h"
#include "berth/id.h"
#include "berth/keyval.h"
#include "berth/qapi-tables.h"

#include "berth/drive-options.h"

static void set_default(JsonValue *object, const char *key, const char *value)
{
    if (!json_member(object, key))
        json_set(object, key, json_new_string(value));
}

/* What @key means among the limits; NULL: nothing. */
static const char *limit_of_short_name(const char *key)
{
    static const char *const names[][2] = {
        { "bps", "bps-total" }, { "bps_rd", "bps-read" }, { "bps_wr", "bps-write" },
        { "iops", "iops-total" }, { "iops_rd", "iops-read" }, { "iops_wr", "iops-write" },
        { "bps_max", "bps-total-max" }, { "bps_rd_max", "bps-read-max" },
        { "bps_wr_max", "bps-write-max" }, { "iops_max", "iops-total-max" },
        { "iops_rd_max", "iops-read-max" }, { "iops_wr_max", "iops-write-max" },
        { "iops_size", "iops-size" }, { "group", "group" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(names[i][0], key) == 0)
            return names[i][1];
    }
    return NULL;
}

static JsonValue *limits_of(JsonValue *drive)
{
    if (!json_member(drive, "throttling"))
        json_set(drive, "throttling", json_new_object());
    return json_member(drive, "throttling");
}

/* Sorts the keys: those of the drive, and those of its node. */
static void sort(const JsonValue *pairs, JsonValue *drive, JsonValue *node)
{
    const QapiType *type = &qapi_types[QAPI_TYPE_DRIVE_OPTIONS];
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(pairs, &iter, &key, &value)) {
        bool is_object = json_kind(value) == JSON_OBJECT;

        if (limit_of_short_name(key))
            json_set(limits_of(drive), limit_of_short_name(key), json_ref(value));
        else if (strcmp(key, "node") == 0 && is_object)
            keyval_merge(node, json_ref(value));
        else if (strcmp(key, "throttling") == 0 && is_object)
            keyval_merge(limits_of(drive), json_ref(value));
        else if (qapi_type_find(type, key) && !(strcmp(key, "file") == 0 && is_object))
            json_set(drive, key, json_ref(value));
        else
            json_set(node, key, json_ref(value));
    }
}

/* "nbd" of "nbd://host"; NULL of a path.  The caller frees. */
static char *protocol_of(const char *file)
{
    size_t length = strcspn(file, ":/");

    return file[length] == ':' ? g_strndup(file, length) : NULL;
}

/* The path in @file; NULL with @error. */
static const char *path_of(const char *file, GError **error)
{
    g_autofree char *protocol = protocol_of(file);
    const char *reason;

    if (!protocol)
        return file;
    if (strcmp(protocol, "file") == 0)
        return file + strlen("file:");
    reason = qapi_enum_refusal(QAPI_TYPE_BLOCKDEV_DRIVER, protocol);
    if (reason)
        error_set(error, "parameter 'file': there is no protocol '%s': %s", protocol,
                  reason);
    else
        error_set(error, "parameter 'file': there is no protocol '%s' (a file of the "
                  "host whose name has a colon is './%s')", protocol, file);
    return NULL;
}

static bool is_device(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* What the file's own node gets: keys that are said once and meant for it. */
static void complete_file(JsonValue *file, const JsonValue *node,
                          const DriveOptions *options)
{
    static const char *const passed[] = { "auto-read-only", "force-share" };
    const JsonValue *filename = json_member(file, "filename");
    const char *path = filename ? json_as_string(filename) : NULL;

    if (path)
        set_default(file, "driver", is_device(path) ? "host_device" : "file");
    for (size_t i = 0; i < G_N_ELEMENTS(passed); i++) {
        JsonValue *value = json_member(node, passed[i]);

        if (value && !json_member(file, passed[i]))
            json_set(file, passed[i], json_ref(value));
    }
    if (options->has_aio)
        set_default(file, "aio", BlockdevAioOptions_str(options->aio));
}

static bool is_protocol(const char *driver)
{
    return strcmp(driver, "file") == 0 || strcmp(driver, "host_device") == 0;
}

static bool set_file(JsonValue *node, const DriveOptions *options, const char *driver,
                     GError **error)
{
    const char *path = options->file ? path_of(options->file, error) : NULL;
    JsonValue *file = json_member(node, "file");

    if (options->file && !path)
        return false;
    if (is_protocol(driver)) {
        if (path)
            set_default(node, "filename", path);
        complete_file(node, node, options);
        return true;
    }
    if (path) {
        file = json_new_object();
        json_set(file, "filename", json_new_string(path));
        json_set(node, "file", file);
    }
    if (file && json_kind(file) == JSON_OBJECT)
        complete_file(file, node, options);
    return true;
}

/* False with @error when it is said twice, or not at all. */
static bool set_driver(JsonValue *node, const DriveOptions *options, GError **error)
{
    const JsonValue *driver = json_member(node, "driver");
    const char *format = options->has_format ? BlockdevDriver_str(options->format) : NULL;

    if (format && driver && g_strcmp0(json_as_string(driver), format) != 0) {
        error_set(error, "parameters 'format' and 'driver' contradict each other");
        return false;
    }
    if (format)
        set_default(node, "driver", format);
    if (json_member(node, "driver"))
        return true;
    if (options->file && !path_of(options->file, error))
        return false;
    error_set(error, "parameter 'format' is missing: the format of an image is never "
              "guessed");
    return false;
}

static void set_cache(JsonValue *node, const DriveOptions *options)
{
    static const struct { const char *direct; const char *no_flush; } modes[] = {
        [DRIVE_CACHE_MODE_NONE] = { "on", "off" },
        [DRIVE_CACHE_MODE_WRITEBACK] = { "off", "off" },
        [DRIVE_CACHE_MODE_WRITETHROUGH] = { "off", "off" },
        [DRIVE_CACHE_MODE_DIRECTSYNC] = { "on", "off" },
        [DRIVE_CACHE_MODE_UNSAFE] = { "off", "on" },
    };
    const DriveCache *cache = options->cache;
    JsonValue *json;

    if (!cache)
        return;
    json = json_new_object();
    if (cache->type == QAPI_KIND_STR) {
        json_set(json, "direct", json_new_string(modes[cache->u.mode].direct));
        json_set(json, "no-flush", json_new_string(modes[cache->u.mode].no_flush));
    } else {
        if (cache->u.options->has_direct)
            json_set(json, "direct",
                     json_new_string(cache->u.options->direct ? "on" : "off"));
        if (cache->u.options->has_no_flush)
            json_set(json, "no-flush",
                     json_new_string(cache->u.options->no_flush ? "on" : "off"));
    }
    json_set(node, "cache", json);
}

/* Whether there is a medium; what says how to read one that is not there is no matter. */
static bool has_medium(const JsonValue *node, const DriveOptions *options)
{
    return options->file || options->has_format || json_member(node, "driver") ||
        json_member(node, "file");
}

static bool check_empty(const JsonValue *node, GError **error)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(node, &iter, &key, &value)) {
        if (strcmp(key, "read-only") == 0)
            continue;
        error_set(error, "parameter '%s' is of a medium, and there is no 'file'", key);
        return false;
    }
    return true;
}

static bool make_node(DriveOptions *options, JsonValue *node, GError **error)
{
    const JsonValue *driver;

    if (!has_medium(node, options))
        return check_empty(node, error);
    if (!set_driver(node, options, error))
        return false;
    driver = json_member(node, "driver");
    if (json_kind(driver) == JSON_STRING &&
        !set_file(node, options, json_as_string(driver), error))
        return false;
    set_cache(node, options);
    if (options->has_readonly)
        set_default(node, "read-only", options->readonly ? "on" : "off");
    if (options->media == DRIVE_MEDIA_CDROM || options->snapshot)
        set_default(node, "read-only", "on");
    options->node = qapi_parse(QAPI_TYPE_BLOCKDEV_OPTIONS, node, QAPI_INPUT_TEXT, error);
    return options->node != NULL;
}

static bool check(const DriveOptions *options, GError **error)
{
    bool is_ide = options->q_if == DRIVE_INTERFACE_IDE;

    if (options->copy_on_read)
        error_set(error, "parameter 'copy-on-read': what is in a backing file stays "
                  "there until the guest writes it");
    else if (!is_ide && options->bus > 0)
        error_set(error, "parameter 'bus': there is one bus of '%s'",
                  DriveInterface_str(options->q_if));
    else if (is_ide && options->unit > 0)
        error_set(error, "parameter 'unit': a port has one drive, 0");
    else if (is_ide && options->has_index && options->has_bus &&
             options->index != options->bus)
        error_set(error, "parameters 'index' and 'bus' contradict each other");
    else if (is_ide)
        return true;
    else if (options->has_index && options->has_unit && options->index != options->unit)
        error_set(error, "parameters 'index' and 'unit' contradict each other");
    else
        return true;
    return false;
}

static bool is_taken(const GPtrArray *others, DriveInterface interface, unsigned number)
{
    for (guint i = 0; i < others->len; i++) {
        const DriveOptions *other = g_ptr_array_index(others, i);

        if (other->q_if == interface && other->index == number)
            return true;
    }
    return false;
}

/* The lowest number of no other: with n others one of 0 to n is. */
static unsigned free_number(const GPtrArray *others, DriveInterface interface)
{
    g_autofree bool *taken = g_new0(bool, others->len + 1);
    unsigned number = 0;

    for (guint i = 0; i < others->len; i++) {
        const DriveOptions *other = g_ptr_array_index(others, i);

        if (other->q_if == interface && other->index <= others->len)
            taken[other->index] = true;
    }
    while (taken[number])
        number++;
    return number;
}

static bool set_number(DriveOptions *options, const GPtrArray *others, GError **error)
{
    bool is_ide = options->q_if == DRIVE_INTERFACE_IDE;

    if (is_ide && options->has_bus)
        options->index = options->bus;
    else if (!is_ide && options->has_unit)
        options->index = options->unit;
    if (!options->has_index && !(is_ide ? options->has_bus : options->has_unit)) {
        options->index = free_number(others, options->q_if);
    } else if (is_taken(others, options->q_if, options->index)) {
        error_set(error, "parameter 'index': there is a drive %u of '%s' already",
                  options->index, DriveInterface_str(options->q_if));
        return false;
    }
    options->has_index = true;
    if (is_ide && options->index >= ATA_PORTS) {
        error_set(error, "parameter 'index': there are ports 0 to %u", ATA_PORTS - 1);
        return false;
    }
    return true;
}

/* As QEMU names them, since clients do by these names what they do. */
static char *default_name(const DriveOptions *options)
{
    if (options->q_if == DRIVE_INTERFACE_IDE)
        return g_strdup_printf("ide%u-%s0", options->index,
                               options->media == DRIVE_MEDIA_CDROM ? "cd" : "hd");
    return g_strdup_printf("%s%u", DriveInterface_str(options->q_if), options->index);
}

static bool set_name(DriveOptions *options, const GPtrArray *others, GError **error)
{
    if (!options->id)
        options->id = default_name(options);
    if (!id_check(options->id, "id", error))
        return false;
    for (guint i = 0; i < others->len; i++) {
        const DriveOptions *other = g_ptr_array_index(others, i);

        if (strcmp(other->id, options->id) != 0)
            continue;
        error_set(error, "parameter 'id': there is a drive '%s' already", options->id);
        return false;
    }
    return true;
}

DriveOptions *drive_options_parse(const JsonValue *pairs, const GPtrArray *others,
                                  GError **error)
{
    g_autoptr(JsonValue) drive = json_new_object(), node = json_new_object();
    DriveOptions *options;

    sort(pairs, drive, node);
    options = qapi_parse(QAPI_TYPE_DRIVE_OPTIONS, drive, QAPI_INPUT_TEXT, error);
    if (!options)
        return NULL;
    if (check(options, error) && set_number(options, others, error) &&
        set_name(options, others, error) && make_node(options, node, error))
        return options;
    qapi_free_DriveOptions(options);
    return NULL;
}

void drive_options_set_snapshot(DriveOptions *options)
{
    if (options->has_snapshot || !options->node || options->node->read_only)
        return;
    options->snapshot = true;
    if (options->node->has_read_only)
        return;
    options->node->has_read_only = true;
    options->node->read_only = true;
}

DeviceAddArgs *drive_options_device(const DriveOptions *options,
                                    const DeviceGlobals *globals, GError **error)
{
    g_autoptr(JsonValue) json = json_new_object();
    DeviceDriver driver = DEVICE_DRIVER_VIRTIO_BLK_PCI;

    if (options->q_if == DRIVE_INTERFACE_IDE) {
        g_autofree char *bus = g_strdup_printf("ide.%u", options->index);

        driver = options->media == DRIVE_MEDIA_CDROM ? DEVICE_DRIVER_IDE_CD
                                                     : DEVICE_DRIVER_IDE_HD;
        json_set(json, "bus", json_new_string(bus));
    }
    json_set(json, "driver", json_new_string(DeviceDriver_str(driver)));
    json_set(json, "drive", json_new_string(options->id));
    return device_globals_parse(globals, json, QAPI_INPUT_TEXT, error);
}

static bool is_write_back(const DriveOptions *options)
{
    const DriveCache *cache = options->cache;

    if (!cache)
        return true;
    if (cache->type != QAPI_KIND_STR)
        return cache->u.options->writeback;
    return cache->u.mode != DRIVE_CACHE_MODE_WRITETHROUGH &&
        cache->u.mode != DRIVE_CACHE_MODE_DIRECTSYNC;
}

BlockDriveOptions drive_options_drive(const DriveOptions *options)
{
    return (BlockDriveOptions) {
        .name = options->id,
        .on_read_error = options->rerror,
        .on_write_error = options->werror,
        .throttling = options->throttling,
        .write_through = !is_write_back(options),
    };
}

static BlockNode *add_node(BlockGraph *graph, const DriveOptions *options, GError **error)
{
    BlockNode *node = block_graph_add(graph, options->node, error);

    if (node && options->snapshot)
        node = block_temporary_new(graph, node, error);
    return node;
}

BlockDrive *drive_options_make(BlockGraph *graph, const DriveOptions *options,
                               GError **error)
{
    const BlockDriveOptions drive = drive_options_drive(options);
    BlockNode *node = NULL;

    if (options->node) {
        node = add_node(graph, options, error);
        if (!node)
            return NULL;
    }
    return block_drive_new(graph, &drive, node, error);
}
