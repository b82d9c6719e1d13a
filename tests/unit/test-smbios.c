/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SMBIOS structures against golden files (tests/data/smbios), their own rules, and
 * dmidecode where it is installed.
 *
 * After an intended change, from the top of the tree:
 *
 *     BERTH_UPDATE_GOLDEN=1 build/tests/unit/test-smbios && git diff tests/data/smbios
 *
 * writes what dmidecode --from-dump reads (.bin), and its text (.txt).
 */
#include <glib/gstdio.h>
#include <string.h>

#include "berth/error.h"
#include "berth/qapi.h"
#include "berth/smbios.h"

#include "golden.h"

#define GOLDEN "tests/data/smbios"
/* Where a dump has the structures, after the entry point. */
#define DUMP_TABLES 32u

/* Options of one machine, kept while their SmbiosOptions live. */
typedef struct Given {
    SmbiosOptions *options;
    GPtrArray *parsed;          /* of SmbiosOption */
} Given;

static void free_option(gpointer option)
{
    qapi_free_SmbiosOption(option);
}

static Given given_new(void)
{
    return (Given) { smbios_options_new(), g_ptr_array_new_with_free_func(free_option) };
}

static void given_done(Given *given)
{
    smbios_options_free(given->options);
    g_ptr_array_unref(given->parsed);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Given, given_done)

/* @json: lists of texts have no key=value form without the command line. */
static bool give(Given *given, const char *text, GError **error)
{
    SmbiosOption *option = text[0] == '{'
        ? qapi_parse_json(QAPI_TYPE_SMBIOS_OPTION, text, error)
        : qapi_parse_keyval(QAPI_TYPE_SMBIOS_OPTION, text, NULL, error);

    if (!option)
        return false;
    g_ptr_array_add(given->parsed, option);
    return smbios_options_add(given->options, option, error);
}

static bool find_pci(void *opaque, const char *id, uint8_t *ret_devfn, GError **error)
{
    if (strcmp(id, "port0") != 0) {
        error_set(error, "there is no PCI device '%s'", id);
        return false;
    }
    *ret_devfn = 4 << 3 | 1;
    return true;
}

static const SmbiosRange plain_ram[] = { { 0, 512 * MIB } };
static const SmbiosMachine plain = {
    .manufacturer = "berth",
    .product = "PCI Express server machine",
    .version = "pc-q35-berth-1.0",
    .is_firmware = true,
    .firmware_version = "1.2.3",
    .firmware_release = { 1, 2 },
    .sockets = 1,
    .cores = 2,
    .threads = 2,
    .processor_id = 0x178bfbff00800f12,
    .ram = plain_ram,
    .n_ram = G_N_ELEMENTS(plain_ram),
    .find_pci = find_pci,
};

/* More memory than standard fields can tell, two sockets of many threads, firmware. */
static const SmbiosRange large_ram[] = { { 0, 2 * GIB }, { 4 * GIB, 5 * 1024 * GIB } };
static const SmbiosMachine large = {
    .manufacturer = "berth",
    .product = "PCI Express server machine",
    .version = "pc-q35-berth-1.0",
    .uuid = { { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
                0xdd, 0xee, 0xff, 0x01 } },
    .firmware_version = "1.2.3",
    .firmware_release = { 1, 2 },
    .sockets = 2,
    .cores = 300,
    .threads = 600,
    .ram = large_ram,
    .n_ram = G_N_ELEMENTS(large_ram),
    .find_pci = find_pci,
};

static const char *const every_option[] = {
    "type=0,vendor=Acme,version=7,date=02/03/2024,release=5.6,uefi=on",
    "type=1,manufacturer=Acme,product=VM,serial=1,,2,sku=sku1,family=fam",
    "type=1,uuid=43dc0cf8-809b-4adb-9bea-a9abb5f3d90e,version=",
    "type=2,manufacturer=,product=bb,serial=bs,asset=ba,location=slot 1",
    "type=3,manufacturer=Rack,version=3,serial=cs,asset=ca,sku=cu",
    "type=4,sock_pfx=Socket,manufacturer=Intel,version=Xeon,serial=ps,asset=pa,part=pp",
    "type=4,max-speed=4000,current-speed=0xBB8,processor-family=0xB3,processor-id=0x10",
    "type=8,internal_reference=J1,external_reference=USB1,connector_type=0x12,"
    "port_type=0x10",
    "type=9,slot_designation=Slot 1,slot_type=0xAA,slot_data_bus_width=0x0D,"
    "current_usage=4,slot_length=4,slot_id=1,slot_characteristics1=4,"
    "slot_characteristics2=3,pci_device=port0",
    "type=9,slot_designation=Slot 2,slot_type=0xA5",
    "{\"type\":\"11\",\"value\":[\"first\",\"io.systemd.credential:a=b,c\"]}",
    "{\"type\":\"11\",\"value\":[\"last\"]}",
    "type=17,loc_pfx=D,bank=B0,manufacturer=Chips,serial=ms,asset=ma,part=mp,speed=3200",
    "type=41,designation=Onboard LAN,kind=ethernet,instance=3,pcidev=port0",
    "type=41,designation=Other",
};

typedef struct Walk {
    unsigned n;
    size_t largest;
    unsigned n_of_type[256];
    uint16_t first_handle[256];
    GHashTable *handles;
} Walk;

/* Holds the structures to the rules of DSP0134, 6.1. */
static void walk(GBytes *structures, Walk *walk)
{
    size_t size, at = 0;
    const uint8_t *data = g_bytes_get_data(structures, &size);
    unsigned type = 0;

    memset(walk, 0, sizeof(*walk));
    walk->handles = g_hash_table_new(NULL, NULL);
    while (at < size) {
        size_t start = at;
        uint16_t handle = data[at + 2] | data[at + 3] << 8;

        g_assert_cmpuint(type, !=, 127);
        type = data[at];
        if (walk->n_of_type[type]++ == 0)
            walk->first_handle[type] = handle;
        g_assert_true(g_hash_table_add(walk->handles, GUINT_TO_POINTER(handle)));
        g_assert_cmpuint(data[at + 1], >=, 4);
        at += data[at + 1];
        while (at + 1 < size && (data[at] || data[at + 1]))
            at++;
        at += 2;
        g_assert_cmpuint(at, <=, size);
        walk->largest = MAX(walk->largest, at - start);
        walk->n++;
    }
    g_assert_cmpuint(type, ==, 127);
    g_hash_table_unref(walk->handles);
}

static uint8_t sum(const uint8_t *data, size_t size)
{
    uint8_t total = 0;

    for (size_t i = 0; i < size; i++)
        total += data[i];
    return total;
}

static void check_entry(const SmbiosTables *tables, const Walk *walked, bool is_v3)
{
    size_t size = g_bytes_get_size(smbios_tables_structures(tables));
    uint8_t entry[SMBIOS_ENTRY_SIZE_MAX];
    size_t n = smbios_tables_entry(tables, 0xf1230, entry);
    uint16_t half[4];
    uint32_t word;

    g_assert_cmpuint(sum(entry, n), ==, 0);
    if (is_v3) {
        g_assert_cmpmem(entry, 5, "_SM3_", 5);
        memcpy(&word, entry + 12, sizeof(word));
        g_assert_cmpuint(word, ==, size);
        memcpy(&word, entry + 16, sizeof(word));
        g_assert_cmphex(word, ==, 0xf1230);
        return;
    }
    g_assert_cmpmem(entry, 4, "_SM_", 4);
    g_assert_cmpuint(sum(entry + 16, 15), ==, 0);
    memcpy(&half[0], entry + 8, 2);
    memcpy(&half[1], entry + 0x16, 2);
    memcpy(&half[2], entry + 0x1c, 2);
    memcpy(&word, entry + 0x18, sizeof(word));
    g_assert_cmpuint(half[0], ==, walked->largest);
    g_assert_cmpuint(half[1], ==, size);
    g_assert_cmpuint(half[2], ==, walked->n);
    g_assert_cmphex(word, ==, 0xf1230);
}

static GByteArray *make_dump(const SmbiosTables *tables)
{
    GByteArray *dump = g_byte_array_new();
    uint8_t entry[DUMP_TABLES] = { 0 };
    size_t size;
    const void *data = g_bytes_get_data(smbios_tables_structures(tables), &size);

    smbios_tables_entry(tables, DUMP_TABLES, entry);
    g_byte_array_append(dump, entry, sizeof(entry));
    g_byte_array_append(dump, data, size);
    return dump;
}

/* The text of dmidecode, which has its version in the first line; NULL without it. */
static char *decode(const char *dump)
{
    const char *argv[] = { "dmidecode", "--from-dump", dump, NULL };
    g_autofree char *path = g_strconcat(g_getenv("PATH"), ":/usr/sbin:/sbin", NULL);
    g_autofree char *out = NULL, *err = NULL;
    char *from;
    int status;

    g_setenv("PATH", path, true);
    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out,
                      &err, &status, NULL))
        return NULL;
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpstr(err, ==, "");
    /* It says where the dump is. */
    from = strstr(out, "Reading SMBIOS/DMI data from file ");
    g_assert_nonnull(from);
    memmove(from, strchr(from, '\n') + 1, strlen(strchr(from, '\n') + 1) + 1);
    return g_steal_pointer(&out);
}

static void check_text(const char *name, const char *text)
{
    g_autofree char *path = g_strdup_printf(GOLDEN "/%s.txt", name);

    g_assert_null(strstr(text, "OUT OF SPEC"));
    g_assert_null(strstr(text, "BAD INDEX"));
    g_assert_null(strstr(text, "TRUNCATED"));
    g_assert_null(strstr(text, "rong"));
    golden_check_versioned(path, text);
}

static void check_golden(const char *name, const SmbiosTables *tables)
{
    g_autoptr(GByteArray) dump = make_dump(tables);
    g_autofree char *golden = g_strdup_printf(GOLDEN "/%s.bin", name);
    g_autofree char *text = NULL;

    golden_check(golden, dump->data, dump->len);
    text = decode(golden);
    if (text)
        check_text(name, text);
    else
        g_test_message("dmidecode is not installed");
}

static void check(const char *name, const SmbiosTables *tables, bool is_v3)
{
    Walk walked;

    walk(smbios_tables_structures(tables), &walked);
    check_entry(tables, &walked, is_v3);
    check_golden(name, tables);
}

static void test_plain_machine(void)
{
    g_auto(Given) given = given_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(SmbiosTables) tables = NULL;

    tables = smbios_tables_new(&plain, given.options, SMBIOS_ENTRY_POINT_TYPE_AUTO,
                               &error);

    g_assert_no_error(error);
    check("plain", tables, false);
}

static void test_every_option(void)
{
    g_auto(Given) given = given_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(SmbiosTables) tables = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(every_option); i++) {
        give(&given, every_option[i], &error);
        g_assert_no_error(error);
    }
    tables = smbios_tables_new(&large, given.options, SMBIOS_ENTRY_POINT_TYPE_64, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(smbios_options_uuid(given.options), ==,
                    "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e");
    check("every-option", tables, true);
}

static void test_firmware_describes_itself(void)
{
    g_auto(Given) given = given_new();
    g_autoptr(SmbiosTables) tables = NULL;
    Walk walked;

    tables = smbios_tables_new(&large, given.options, SMBIOS_ENTRY_POINT_TYPE_64, NULL);
    walk(smbios_tables_structures(tables), &walked);

    g_assert_cmpuint(walked.n_of_type[0], ==, 0);
    g_assert_cmpuint(walked.n_of_type[1], ==, 1);
    g_assert_cmpuint(walked.n_of_type[2], ==, 0);
    g_assert_cmpuint(walked.n_of_type[4], ==, 2);
    g_assert_cmpuint(walked.n_of_type[17], ==, 41);
    g_assert_cmpuint(walked.n_of_type[19], ==, 2);
}

/* Structures of @n_texts OEM strings of @length bytes. */
static SmbiosTables *with_oem_strings(unsigned n_texts, size_t length,
                                      SmbiosEntryPointType entry, GError **error)
{
    g_auto(Given) given = given_new();
    g_autoptr(GString) option = g_string_new("{\"type\":\"11\",\"value\":[");
    g_autofree char *text = g_strnfill(length, 'x');

    for (unsigned i = 0; i < n_texts; i++)
        g_string_append_printf(option, "%s\"%s\"", i ? "," : "", text);
    g_string_append(option, "]}");
    g_assert_true(give(&given, option->str, NULL));
    return smbios_tables_new(&plain, given.options, entry, error);
}

static void test_many_oem_strings_are_several_structures(void)
{
    g_autoptr(SmbiosTables) tables = NULL;
    Walk walked;

    tables = with_oem_strings(600, 3, SMBIOS_ENTRY_POINT_TYPE_AUTO, NULL);
    walk(smbios_tables_structures(tables), &walked);

    g_assert_cmpuint(walked.n_of_type[11], ==, 3);
    check_entry(tables, &walked, false);
}

static void test_auto_chooses_what_can_tell(void)
{
    g_auto(Given) given = given_new();
    g_autoptr(SmbiosTables) tables = NULL, many = NULL, refused = NULL;
    g_autoptr(GError) error = NULL;
    Walk walked;

    tables = with_oem_strings(100, 1000, SMBIOS_ENTRY_POINT_TYPE_AUTO, NULL);
    walk(smbios_tables_structures(tables), &walked);
    check_entry(tables, &walked, true);

    many = smbios_tables_new(&large, given.options, SMBIOS_ENTRY_POINT_TYPE_AUTO, NULL);
    walk(smbios_tables_structures(many), &walked);
    check_entry(many, &walked, true);

    refused = with_oem_strings(100, 1000, SMBIOS_ENTRY_POINT_TYPE_32, &error);
    g_assert_null(refused);
    g_assert_nonnull(strstr(error->message, "smbios-entry-point-type=64"));
    g_clear_error(&error);
    refused = smbios_tables_new(&large, given.options, SMBIOS_ENTRY_POINT_TYPE_32,
                                &error);
    g_assert_null(refused);
    g_assert_nonnull(strstr(error->message, "255 cores"));
}

static void test_wrong_options_are_refused(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        { "", "file" },
        { "type=1,uuid=1", "uuid" },
        { "type=1,uuid=43dc0cf8-809b-4adb-9bea-a9abb5f3d90g", "uuid" },
        { "type=1,asset=x", "asset" },
        { "type=0,release=1", "release" },
        { "type=0,release=256.1", "release" },
        { "type=0,release=1.2x", "release" },
        { "type=0,release=-1.2", "release" },
        { "type=0,uefi=perhaps", "uefi" },
        { "type=5", "type" },
        { "type=16", "type" },
        { "type=127", "type" },
        { "type=-1", "type" },
        { "type=1,file=x", "file" },
        { "file=x,serial=y", "serial" },
        { "type=4,max-speed=65536", "max-speed" },
        { "type=8,port_type=256", "port_type" },
        { "type=9,slot_id=70000", "slot_id" },
        { "type=41,kind=toaster", "kind" },
        { "{\"type\":\"11\",\"value\":[\"\"]}", "1 byte" },
        { "{\"type\":\"11\",\"path\":[\"tests/data/none\"]}", "tests/data/none" },
        { "{\"type\":\"11\",\"path\":[\"tests/data/smbios/plain.bin\"]}", "zero byte" },
        { "{\"type\":\"11\",\"path\":[\"tests\"]}", "regular" },
        { "file=tests/data/none", "tests/data/none" },
        { "file=tests", "regular" },
        { "file=README.md", "README.md" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Given) given = given_new();
        g_autoptr(GError) error = NULL;

        if (give(&given, cases[i].text, &error))
            g_error("'%s' was accepted", cases[i].text);
        if (!strstr(error->message, cases[i].words))
            g_error("'%s' is not in '%s'", cases[i].words, error->message);
    }
}

static void test_device_must_be_on_the_root_bus(void)
{
    static const char *const texts[] = { "type=9,pci_device=nic", "type=41,pcidev=nic" };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_auto(Given) given = given_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(SmbiosTables) tables = NULL;

        g_assert_true(give(&given, texts[i], NULL));
        tables = smbios_tables_new(&plain, given.options, SMBIOS_ENTRY_POINT_TYPE_AUTO,
                                   &error);

        g_assert_null(tables);
        g_assert_nonnull(strstr(error->message, "'nic'"));
        g_assert_nonnull(strstr(error->message, "parameter 'pci"));
    }
}

/* A structure of @type and @handle with one text. */
#define STRUCTURE(type, handle) type "\x05" handle "\x01" "text\0\0"

static const struct {
    const char *bytes;
    size_t size;
    const char *words;          /* NULL: it is right */
} files[] = {
    { STRUCTURE("\x02", "\x01\x10"), 11, NULL },
    { STRUCTURE("\xdd", "\x01\x10") STRUCTURE("\xdd", "\x02\x10"), 22, NULL },
    { "\xdd\x04\x01\x10\0\0", 6, NULL },
    { "", 0, "0 bytes" },
    { "\xdd\x04\x01", 3, "3 bytes" },
    { "\xdd\x03\x01\x10\0\0", 6, "length of 3" },
    { "\xdd\0\x01\x10\0\0", 6, "length of 0" },
    { "\xdd\x07\x01\x10\0\0", 6, "length of 7" },
    { "\xdd\x06\x01\x10\0\0", 6, "zero bytes" },
    { "\xdd\x04\x01\x10\0", 5, "zero bytes" },
    { "\xdd\x04\x01\x10" "text\0", 9, "zero bytes" },
    { "\xdd\x04\x01\x10" "text\0text", 13, "zero bytes" },
    { STRUCTURE("\xdd", "\x01\x10") "\xdd", 12, "byte 11" },
    { STRUCTURE("\xdd", "\x01\x10") STRUCTURE("\xde", "\x01\x10"), 22, "0x1001" },
    { STRUCTURE("\x7f", "\x01\x10"), 11, "type 127" },
    { STRUCTURE("\x01", "\x01\x10"), 11, "type 1" },
};

static void test_files_are_walked_to_their_end(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_auto(Given) given = given_new();
        g_autoptr(GError) error = NULL;
        g_autofree uint8_t *exact = g_memdup2(files[i].bytes, files[i].size);
        bool ok;

        g_assert_true(give(&given, "type=1,serial=x", NULL));
        ok = smbios_options_add_structures(given.options, exact, files[i].size, &error);

        if (ok != !files[i].words)
            g_error("file %zu: %s", i, error ? error->message : "accepted");
        if (!ok && !strstr(error->message, files[i].words))
            g_error("'%s' is not in '%s'", files[i].words, error->message);
    }
}

static void test_structures_of_a_file_replace_those_of_their_type(void)
{
    static const char bytes[] =
        STRUCTURE("\x10", "\x00\x01") STRUCTURE("\x03", "\x00\x04");
    g_auto(Given) given = given_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(SmbiosTables) tables = NULL;
    const uint8_t *board;
    Walk walked;

    smbios_options_add_structures(given.options, (const uint8_t *)bytes,
                                  sizeof(bytes) - 1, &error);
    g_assert_no_error(error);
    g_assert_true(give(&given, "type=2,serial=x", NULL));
    g_assert_false(give(&given, "type=3,serial=x", NULL));
    tables = smbios_tables_new(&plain, given.options, SMBIOS_ENTRY_POINT_TYPE_AUTO, NULL);
    walk(smbios_tables_structures(tables), &walked);

    g_assert_cmpuint(walked.n_of_type[16], ==, 1);
    g_assert_cmpuint(walked.n_of_type[3], ==, 1);
    g_assert_cmpuint(walked.n_of_type[1], ==, 1);
    /* Their handles are taken: those of type 1 and 4 give way. */
    g_assert_cmphex(walked.first_handle[1], ==, 0x101);
    g_assert_cmphex(walked.first_handle[4], ==, 0x401);
    /* And others point to them. */
    board = memmem(g_bytes_get_data(smbios_tables_structures(tables), NULL),
                   g_bytes_get_size(smbios_tables_structures(tables)),
                   "\x02\x0f\0\x02", 4);
    g_assert_nonnull(board);
    g_assert_cmpmem(board + 11, 2, "\x00\x04", 2);
    check_entry(tables, &walked, false);
}

static void test_number_of_structures_is_bounded(void)
{
    g_auto(Given) given = given_new();
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < 5000; i++) {
        uint8_t structure[] = { 0xdd, 4, i & 0xff, i >> 8, 0, 0 };

        g_byte_array_append(bytes, structure, sizeof(structure));
    }

    g_assert_false(smbios_options_add_structures(given.options, bytes->data, bytes->len,
                                                 &error));
    g_assert_nonnull(strstr(error->message, "4096"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smbios/plain-machine", test_plain_machine);
    g_test_add_func("/smbios/every-option", test_every_option);
    g_test_add_func("/smbios/firmware-describes-itself", test_firmware_describes_itself);
    g_test_add_func("/smbios/many-oem-strings-are-several-structures",
                    test_many_oem_strings_are_several_structures);
    g_test_add_func("/smbios/auto-chooses-what-can-tell",
                    test_auto_chooses_what_can_tell);
    g_test_add_func("/smbios/wrong-options-are-refused", test_wrong_options_are_refused);
    g_test_add_func("/smbios/device-must-be-on-the-root-bus",
                    test_device_must_be_on_the_root_bus);
    g_test_add_func("/smbios/files-are-walked-to-their-end",
                    test_files_are_walked_to_their_end);
    g_test_add_func("/smbios/structures-of-a-file-replace-those-of-their-type",
                    test_structures_of_a_file_replace_those_of_their_type);
    g_test_add_func("/smbios/number-of-structures-is-bounded",
                    test_number_of_structures_is_bounded);
    return g_test_run();
}
