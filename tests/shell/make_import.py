#!/usr/bin/env python3
"""Files for import.sh in several formats, good and bad, beside those of make_npy.py: make_import.py <folder>"""
import os
import struct
import sys

from make_npy import npy

WORDS = ["the 0.5 -0.25 1e-3", "of 1 2 3", "naïve 0.1 0.2 0.3"]
CSV = 'id,title,price,embedding\n7,a,1.5,"[1,2,3]"\n9,"b, c",2,"[4,5,6]"\n12,,,"[0.1,0.2,0.3]"\n'
FILES = {
    "words.txt": "\n".join(WORDS) + "\n",
    "wrong.txt": "\n".join(WORDS[:2] + ["bad 1 x 3", WORDS[2], "short 1 2"]) + "\n",
    "twice.txt": "\n".join(WORDS + [WORDS[0]]) + "\n",
    "binary.txt": bytes(range(256)) * 4,
    "rows.csv": CSV,
    "twice.csv": CSV + '9,d,4,"[7,8,9]"\n',
    "wider.csv": CSV + '13,d,4,"[7,8,9,10]"\n',
    "fewer.csv": CSV + "13,d,4\n",
    "open.csv": CSV + '13,"d,4,"[7,8,9]"\n14,e,5,"[7,8,9]"\n',
    "plain.csv": "a,b\n1,x\n2,\n03,\"y, z\"\n",
    "short.csv": "a,b\n" + "".join("%d,x\n" % i for i in range(5)) + "5\n6,x\n",
    "numbers.csv": "1,1.50\n2,2\n",
    "rank.csv": 'rank,k,embedding\n1,2,"[1,2]"\n2,3,"[3,4]"\n',
    "rows.jsonl": '{"word":"a","n":1,"v":[1,2,3]}\n{"word":"b","n":null,"v":[4,5,6]}\n',
    "wrong.jsonl": '{"word":"a","v":[1,2,3]}\n{"word":"b","v":[4,5}\n',
    "mixed.fvecs": struct.pack("<i2fi3f", 2, 1, 2, 3, 1, 2, 3),
    "cut.fvecs": struct.pack("<i2fi1f", 2, 1, 2, 2, 1),
    "absurd.npy": npy("(1099511627776, 100)"),
    "many.csv": "id,embedding\n" + "".join('%d,"[%d,1,2]"\n' % (i, i) for i in range(1000)),
    "late.csv": "id,embedding\n" + "".join('%d,"[%d,1,2]"\n' % (i, i) for i in range(2500)) + '1,"[0,0,0]"\n',
}

for name, data in FILES.items():
    with open(os.path.join(sys.argv[1], name), "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())

# So long that nobody waits for its end; it takes no room on the disk.
with open(os.path.join(sys.argv[1], "endless.npy"), "wb") as file:
    header = npy("(200000000, 2)")
    file.write(header)
    file.truncate(len(header) + 200000000 * 8)
