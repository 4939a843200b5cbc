#!/usr/bin/env python3
"""Checks that two saved models hold the same Q, K, V and O, bit for bit, and that everything else differs: check_frozen.py START TRAINED"""
import json
import struct
import sys


def tensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    return {name: data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]]
            for name, t in header.items() if name != "__metadata__"}


start, trained = (tensors(path) for path in sys.argv[1:3])
assert start.keys() == trained.keys()
for name in start:
    attention = ".attn." in name
    assert (start[name] == trained[name]) == attention, name
print("frozen:", sum(".attn." in name for name in start), "tensors bit-identical,", sum(".attn." not in name for name in start), "others trained")
