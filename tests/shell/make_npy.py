#!/usr/bin/env python3
"""Small .npy files for run.sh, good and bad, without NumPy: make_npy.py <folder>"""
import os
import struct
import sys


def npy(shape, descr="<f4", fortran=False, data=b""):
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def floats(*values):
    return struct.pack("<%df" % len(values), *values)


SIX = floats(1, 0, 0, 1, 3, 4)
FILES = {
    "good.npy": npy("(3, 2)", data=SIX),
    "double.npy": npy("(3, 2)", "<f8", data=struct.pack("<6d", 1, 0, 0, 1, 3, 4)),
    "none.npy": npy("(0, 2)"),
    "one.npy": npy("(1, 2)", data=floats(1, 2)),
    "nan.npy": npy("(3, 2)", data=floats(1, 0, float("nan"), 1, 3, 4)),
    "fortran.npy": npy("(3, 2)", fortran=True, data=SIX),
    "object.npy": npy("(3, 2)", "|O", data=SIX * 2),
    "integers.npy": npy("(3, 2)", "<i8", data=SIX * 2),
    "truncated.npy": npy("(3, 2)", data=SIX[:-1]),
    "lying.npy": npy("(3000000000000, 2)", data=SIX),
    "cube.npy": npy("(3, 2, 1)", data=SIX),
    "text.npy": b"1,0\n0,1\n3,4\n",
    "empty.npy": b"",
}

for name, data in FILES.items():
    with open(os.path.join(sys.argv[1], name), "wb") as file:
        file.write(data)
