"""Data that an opponent would choose, made from a base and its queries: docs/audit.md says what came of them.

usage  variants.py BASE.npy QUERY.npy FOLDER

unit.base, unit.query     unit vectors in f32: their elements have no exact half, unlike those of f16 files
shifted.base, .query      the same plus 0.3 in every element: all rows in a narrow cone about one direction
norms.base                unit rows times 10^u, u uniform in -6..6
twins.base                5,000 of the rows, 20 times each
random.query              directions that have nothing to do with the base"""
import os
import sys

import numpy as np

base, query = (np.load(path).astype(np.float32) for path in sys.argv[1:3])
base /= np.maximum(np.linalg.norm(base, axis=1, keepdims=True), 1e-30)
query /= np.maximum(np.linalg.norm(query, axis=1, keepdims=True), 1e-30)
rng = np.random.default_rng(0)
few = rng.permutation(len(base))[:5000]
sets = {
    "unit.base": base,
    "unit.query": query,
    "shifted.base": base + np.float32(0.3),
    "shifted.query": query + np.float32(0.3),
    "norms.base": base * 10 ** rng.uniform(-6, 6, (len(base), 1)),
    "twins.base": np.repeat(base[few], 20, axis=0),
    "random.query": rng.standard_normal((1000, base.shape[1])),
}
for name, vectors in sets.items():
    np.save(os.path.join(sys.argv[3], name + ".npy"), vectors.astype(np.float32))
