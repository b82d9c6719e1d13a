/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libslirp by dlopen(3).  Linked to the program it would cost each VM 16 KiB and more of
 * private memory and a twentieth of the time to its start.
 *
 * It stays once it is loaded: in the sandbox nothing can be loaded, and a network that is
 * removed may come again.
 */
#include <dlfcn.h>
#include <string.h>

#include "berth/error.h"

#include "user-library.h"

#define LIBRARY "libslirp.so.0"

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
    { "slirp_new", offsetof(UserLibrary, new) },
    { "slirp_cleanup", offsetof(UserLibrary, cleanup) },
    { "slirp_input", offsetof(UserLibrary, input) },
    { "slirp_pollfds_fill", offsetof(UserLibrary, pollfds_fill) },
    { "slirp_pollfds_poll", offsetof(UserLibrary, pollfds_poll) },
    { "slirp_handle_timer", offsetof(UserLibrary, handle_timer) },
    { "slirp_add_hostfwd", offsetof(UserLibrary, add_hostfwd) },
    { "slirp_remove_hostfwd", offsetof(UserLibrary, remove_hostfwd) },
    { "slirp_connection_info", offsetof(UserLibrary, connection_info) },
};

static bool find_symbols(void *handle, UserLibrary *library, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(symbols); i++) {
        void *symbol = dlsym(handle, symbols[i].name);

        if (!symbol) {
            error_set(error, "%s has no %s: it is older than 4.7", LIBRARY,
                      symbols[i].name);
            return false;
        }
        memcpy((char *)library + symbols[i].offset, &symbol, sizeof(symbol));
    }
    return true;
}

bool user_library_load(bool may_load, UserLibrary *ret_library, GError **error)
{
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_NOLOAD);

    if (!handle && !may_load) {
        error_set(error, "%s cannot be loaded in the sandbox: start with a user network, "
                  "or with -sandbox off, to add one later", LIBRARY);
        return false;
    }
    if (!handle)
        handle = dlopen(LIBRARY, RTLD_NOW | RTLD_NODELETE);
    if (handle)
        return find_symbols(handle, ret_library, error);
    error_set(error, "cannot load libslirp: %s", dlerror());
    return false;
}
