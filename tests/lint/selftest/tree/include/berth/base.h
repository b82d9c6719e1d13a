/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "berth/loop.h"
#include <stdint.h>
