/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory as an object: memory-backend-ram, -memfd and -file.  Main only.
 */
#pragma once

#include "berth/object.h"
#include "berth/ram.h"

extern const ObjectClass memory_backend_file_class;
extern const ObjectClass memory_backend_ram_class;
extern const ObjectClass memory_backend_memfd_class;

/* The memory, lent for the life of @object; NULL of an object of another family. */
RamBlock *memory_backend_ram(const Object *object);

/* What the object was made with, defaults filled in; NULL of another family. */
const MemoryBackendProps *memory_backend_props(const Object *object);
