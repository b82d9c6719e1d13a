#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the schema and writes C and the manual from it; see qmp/gen/README.md."""

import argparse
import pathlib
import sys

import qapi_completion
import qapi_ctables
import qapi_ctypes
import qapi_hmp
import qapi_manual
import qapi_reference
from qapi_model import Schema
from qapi_reader import SchemaError


def write_if_changed(path, text):
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schema", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        schema = Schema(arguments.schema)
    except SchemaError as error:
        print(f"{arguments.schema.parent}/{error}", file=sys.stderr)
        return 1
    top = qapi_ctypes.LICENSE + qapi_ctypes.GENERATED
    for name, text in {
            "qapi-types.h": qapi_ctypes.types_header(schema),
            "qapi-tables.c": qapi_ctables.tables_source(schema),
            "qmp-commands.h": qapi_ctypes.commands_header(schema),
            "qmp-commands.c": qapi_ctypes.commands_source(schema),
            "qapi-events.h": qapi_ctypes.events_header(schema),
            "hmp-commands.h": qapi_hmp.hmp_header(schema, top),
            "hmp-commands.c": qapi_hmp.hmp_source(schema, top),
            "qmp-reference.md": qapi_reference.reference(schema),
            "berth.1": qapi_manual.manual(schema),
            "berth.bash": qapi_completion.bash(schema),
            "_berth": qapi_completion.zsh(schema)}.items():
        write_if_changed(arguments.out / name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
