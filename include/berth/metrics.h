/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object berth-metrics: what is counted, as OpenMetrics text over HTTP on a socket.
 * Main only.
 */
#pragma once

#include "berth/object.h"

extern const ObjectClass metrics_object_class;
