#!/usr/bin/env python3
"""Checks that two saved models hold the same Q, K, V and O, bit for bit, that everything else differs, and that the
second file names exactly those as frozen, the first none: check_frozen.py START TRAINED"""
import json
import struct
import sys


def load(path):
    """The tensors of a file, and the names that it lists as frozen."""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    frozen = json.loads(header.pop("__metadata__")["frozen"])
    body = data[8 + size:]
    return {name: body[slice(*t["data_offsets"])] for name, t in header.items()}, frozen


(start, free), (trained, frozen) = (load(path) for path in sys.argv[1:3])
assert start.keys() == trained.keys()
for name in start:
    attention = ".attn." in name
    assert (start[name] == trained[name]) == attention, name
    assert (name.removeprefix("transformer.") in frozen) == attention, "metadata of " + name
assert free == [], free
print("frozen:", len(frozen), "tensors bit-identical and named,", len(start) - len(frozen), "others trained")
