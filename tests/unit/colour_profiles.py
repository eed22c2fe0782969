"""Colour profiles made to measure."""

import struct

D50 = (0.9642, 1.0, 0.8249)
# of Display P3, adapted to D50 (ICC registry)
COLUMNS = {"r": (0.51512, 0.2412, -0.00105), "g": (0.29198, 0.69225, 0.04189)}
COLUMNS["b"] = (0.1571, 0.06657, 0.78407)
# IEC 61966-2-1 as a parametric curve of kind 3
CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(65536 * value) for value in values))


def display_p3() -> bytes:
    """Return a profile of Display P3 (ICC.1:2022)."""
    text = "P3".encode("utf-16-be")
    said = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    tags = [(b"desc", said), (b"cprt", said), (b"wtpt", b"XYZ \0\0\0\0" + fixed(*D50))]
    for name, column in COLUMNS.items():
        tags.append((f"{name}XYZ".encode(), b"XYZ \0\0\0\0" + fixed(*column)))
        curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + fixed(*CURVE)
        tags.append((f"{name}TRC".encode(), curve))
    at, table, values = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags:
        table += struct.pack(">4sII", name, at + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    size = at + len(values)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x04400000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + fixed(*D50) + bytes(48)
    return header[:128] + struct.pack(">I", len(tags)) + table + values
