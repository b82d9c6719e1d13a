/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "berth/base.h"
uint32_t list_length(void);
