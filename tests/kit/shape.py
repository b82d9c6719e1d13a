# SPDX-License-Identifier: Apache-2.0
"""What a JSON value has to have, said by a JSON value: its shape.

A shape is a value that has to be the same, but for the words <int>, <str>, <bool> and
<list>, which stand for any of that type; <none> stands for a member that must not be
there; $x for the shape of that name.  Of an object, the members that the shape names have
to be there, of a list one item for each of the shape's, in any order (each gets the first
that fits); others may be.
"""

TYPES = {"<int>": int, "<str>": str, "<bool>": bool, "<list>": list}


def same(value, shape):
    return type(value) is type(shape) and value == shape


def other_object(value, shape, shapes, path):
    if not isinstance(value, dict):
        return f"{path} is {value!r}, no object"
    for name, member in shape.items():
        if member == "<none>":
            found = f"{path}.{name} is there" if name in value else None
        elif name not in value:
            found = f"{path}.{name} is missing"
        else:
            found = other(value[name], member, shapes, f"{path}.{name}")
        if found:
            return found
    return None


def in_common(value, shape, shapes):
    """How much of an object is as it has to be; values count more than types."""
    while isinstance(shape, str) and shape.startswith("$"):
        shape = shapes[shape[1:]]
    if not isinstance(value, dict) or not isinstance(shape, dict):
        return 0
    return sum(1 + same(value[name], member) for name, member in shape.items()
               if name in value and not other(value[name], member, shapes))


def other_list(value, shape, shapes, path):
    """Of what has no counterpart, how the item differs that has the most in common."""
    if not isinstance(value, list):
        return f"{path} is {value!r}, no list"
    left = list(value)
    for wanted in shape:
        faults = [other(item, wanted, shapes, f"{path}[]") for item in left]
        if None in faults:
            del left[faults.index(None)]
        elif faults:
            common = [in_common(item, wanted, shapes) for item in left]
            return f"{path} has no {wanted!r}: {faults[common.index(max(common))]}"
        else:
            return f"{path} has no {wanted!r}: no item is left"
    return None


def other(value, shape, shapes, path="it"):
    """How @value differs from @shape, or None."""
    if isinstance(shape, str) and shape.startswith("$"):
        return other(value, shapes[shape[1:]], shapes, path)
    if isinstance(shape, dict):
        return other_object(value, shape, shapes, path)
    if isinstance(shape, list):
        return other_list(value, shape, shapes, path)
    if isinstance(shape, str) and shape in TYPES:
        good = type(value) is TYPES[shape]
    else:
        good = same(value, shape)
    return None if good else f"{path} is {value!r}, not {shape!r}"
