/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator, or whoever writes his files, says of the machine's identity.  With a
 * first byte of 0 the rest is a file of SMBIOS structures; else each line is the text of
 * an -smbios option, or after a '+' of an -fw_cfg option.  What is accepted makes
 * structures that a guest can walk to their end; nobody's files are opened.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/fw-cfg-options.h"
#include "berth/qapi-option.h"
#include "berth/smbios.h"

#include "fake-board.h"
#include "fuzz.h"

typedef struct Input {
    SmbiosOptions *smbios;
    GPtrArray *smbios_parsed;   /* of SmbiosOption */
    GPtrArray *fw_cfgs;         /* of FwCfgOption */
} Input;

static void free_smbios(gpointer option)
{
    qapi_free_SmbiosOption(option);
}

static void free_fw_cfg(gpointer option)
{
    qapi_free_FwCfgOption(option);
}

static void *read_option(const char *name, const char *text)
{
    const CmdlineOption *option = qapi_option_find(name);
    g_autoptr(JsonValue) json = NULL;
    bool help;

    json = qapi_option_read(option, text, &help, NULL);
    return json && !help ? qapi_parse(option->type, json, QAPI_INPUT_TEXT, NULL) : NULL;
}

static void take_line(Input *input, const char *line)
{
    bool is_fw_cfg = *line == '+';
    void *option = is_fw_cfg ? read_option("-fw_cfg", line + 1)
                             : read_option("-smbios", line);
    SmbiosOption *smbios = option;

    if (!option)
        return;
    if (is_fw_cfg) {
        g_ptr_array_add(input->fw_cfgs, option);
        g_clear_pointer(&((FwCfgOption *)option)->file, g_free);
        return;
    }
    g_ptr_array_add(input->smbios_parsed, smbios);
    if (smbios->type == SMBIOS_TYPE_FILE ||
        (smbios->type == SMBIOS_TYPE_11 && smbios->u.q_11.path))
        return;
    smbios_options_add(input->smbios, smbios, NULL);
}

/* A guest's walk; ends at the last byte. */
static void walk(GBytes *structures)
{
    size_t size, at = 0;
    const uint8_t *data = g_bytes_get_data(structures, &size);
    g_autoptr(GHashTable) handles = g_hash_table_new(NULL, NULL);
    unsigned type;

    do {
        g_assert_cmpuint(size - at, >=, 6);
        type = data[at];
        g_assert_true(g_hash_table_add(
            handles, GUINT_TO_POINTER(data[at + 2] | data[at + 3] << 8)));
        g_assert_cmpuint(data[at + 1], >=, 4);
        at += data[at + 1];
        while (data[at] || data[at + 1]) {
            at++;
            g_assert_cmpuint(at, <, size - 1);
        }
        at += 2;
    } while (type != 127);
    g_assert_cmpuint(at, ==, size);
}

static bool find_pci(void *opaque, const char *id, uint8_t *ret_devfn, GError **error)
{
    *ret_devfn = (uint8_t)strlen(id);
    if (*ret_devfn)
        return true;
    error_set(error, "no device");
    return false;
}

static void make_tables(const SmbiosOptions *options, SmbiosEntryPointType type)
{
    static const SmbiosRange ram = { 0, 3 * GIB };
    static const SmbiosMachine machine = {
        .manufacturer = "m",
        .product = "p",
        .version = "v",
        .is_firmware = true,
        .firmware_version = "f",
        .sockets = 3,
        .cores = 1,
        .threads = 1,
        .ram = &ram,
        .n_ram = 1,
        .find_pci = find_pci,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(SmbiosTables) tables = smbios_tables_new(&machine, options, type, &error);
    uint8_t entry[SMBIOS_ENTRY_SIZE_MAX];

    g_assert_true(!tables == !!error);
    if (!tables)
        return;
    walk(smbios_tables_structures(tables));
    g_assert_cmpuint(smbios_tables_entry(tables, 0xf0000, entry), <=, sizeof(entry));
}

static void add_files(const GPtrArray *options)
{
    g_autoptr(FakeBoard) fake = fake_board_new();
    FwCfg *fw_cfg = fw_cfg_add(&fake->tree, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(fw_cfg_options_add(fw_cfg, options, &error) == !error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {
        .smbios = smbios_options_new(),
        .smbios_parsed = g_ptr_array_new_with_free_func(free_smbios),
        .fw_cfgs = g_ptr_array_new_with_free_func(free_fw_cfg),
    };

    log_set_level(LOG_LEVEL_ERROR);
    if (size > 0 && data[0] == 0) {
        g_autofree uint8_t *exact = g_memdup2(data + 1, size - 1);

        smbios_options_add_structures(input.smbios, exact, size - 1, NULL);
    } else {
        g_autofree char *text = g_strndup((const char *)data, size);
        g_auto(GStrv) lines = g_strsplit(text, "\n", 64);

        for (char **line = lines; *line; line++)
            take_line(&input, *line);
    }
    for (int type = 0; type < SMBIOS_ENTRY_POINT_TYPE__MAX; type++)
        make_tables(input.smbios, type);
    if (input.fw_cfgs->len > 0)
        add_files(input.fw_cfgs);
    smbios_options_free(input.smbios);
    g_ptr_array_unref(input.smbios_parsed);
    g_ptr_array_unref(input.fw_cfgs);
    return 0;
}
