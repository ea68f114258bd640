"""Peers that walk a graph: hnswlib, usearch, RaBitQ's HNSW and SymQG, SVS Vamana. Their build takes minutes, so it is
kept (kept() in systems.py)."""
import os
import shutil

import numpy as np

from lists import centroids
from scans import svs_metric
from systems import System, disk_bytes, kept, nothing, ranked

M = 16  # links a node of HNSW, twice as many in the lowest layer, where nearly all are


def efs(data, *values):
    """The widths of the search. None is below k, and for a large k there are some about it."""
    wide = {int(f * data.k) for f in (1, 1.5, 2, 4)} if data.k >= 100 else set()
    return sorted({max(v, data.k) for v in values} | wide)


def hnswlib_curve(data, folder, key, widths, links=M, construction=200):
    import hnswlib
    space = "l2" if data.metric == "l2" else "ip"

    def build():
        index = hnswlib.Index(space=space, dim=data.dim)
        index.init_index(max_elements=data.rows, ef_construction=construction, M=links)
        index.add_items(data.base_n, num_threads=1)
        return index

    def load(path):
        index = hnswlib.Index(space=space, dim=data.dim)
        index.load_index(path, max_elements=data.rows)
        return index
    name = f"hnswlib-{key}" if links == M else f"hnswlib-m{links}-{key}"
    index, seconds = kept(folder, name, build, lambda i, p: i.save_index(p), load)
    index.set_num_threads(1)
    family = f"hnswlib M{links} efc{construction}"
    for ef in widths:
        yield System(family, f"{family} ef={ef}", seconds, links * 2 * 4 + 4 + 8, 4 * data.dim,
                     lambda q: index.knn_query(q, k=data.k, num_threads=1)[0], lambda e=ef: index.set_ef(e))


# ---- usearch ----

def usearch_build(data, folder, key, kind):
    from usearch.index import Index
    make = lambda: Index(ndim=data.dim, metric="l2sq" if data.metric == "l2" else "ip", dtype=kind, connectivity=M,
                         expansion_add=128)

    def build():
        index = make()
        index.add(np.arange(data.rows), data.base_n, threads=1)
        return index

    def load(path):
        index = make()
        index.load(path)
        return index
    name = f"usearch-{key}" if kind == "f16" else f"usearch-{kind}-{key}"
    return kept(folder, name, build, lambda i, p: i.save(p), load)


def usearch_ids(index, queries, k):
    found = index.search(queries[0] if len(queries) == 1 else queries, k, threads=1).keys
    return found.astype(np.int64).reshape(len(queries), -1)


def usearch_curve(data, folder, key, widths):
    """Its rows are f16: half the bytes, and scores that are not quite exact."""
    index, seconds = usearch_build(data, folder, key, "f16")
    for ef in widths:
        yield System("usearch f16", f"usearch f16 ef={ef}", seconds, 0, index.memory_usage / data.rows,
                     lambda q: usearch_ids(index, q, data.k), lambda e=ef: setattr(index, "expansion_search", e))


def usearch_i8(data, folder, key, widths, factor=0):
    """int8 rows are codes: alone, or with factor times k ranked exactly."""
    if data.metric == "l2":  # i8 under l2sq would need the data scaled to its range
        return
    index, seconds = usearch_build(data, folder, key, "i8")
    count = data.counts(factor)[0]
    for ef in widths:
        search = (ranked(data, lambda q, n: usearch_ids(index, q, n), count) if factor
                  else lambda q: usearch_ids(index, q, data.k))
        yield System("usearch i8" + (" + exact rows" if factor else ""),
                     f"usearch i8 ef={ef}" + (f", {count} ranked exactly" if factor else ""), seconds,
                     index.memory_usage / data.rows, 4 * data.dim if factor else 0, search,
                     lambda e=ef: setattr(index, "expansion_search", max(e, count)))


# ---- RaBitQ's own library ----

def symqg_curve(data, folder, key, degree, widths):
    """Codes of a node's neighbours lie in the node, and the vectors too, by which it ranks."""
    import rabitqlib

    def build():
        index = rabitqlib.SymqgIndex(data.dim, degree, metric="l2" if data.metric == "l2" else "ip")
        index.build(data.base_n, 400, 1)
        return index
    name = f"symqg{degree}-{key}"
    index, seconds = kept(folder, name, build, lambda i, p: i.save(p), rabitqlib.SymqgIndex.load)
    size = os.path.getsize(os.path.join(folder, name)) / data.rows
    for ef in widths:
        yield System(f"RaBitQ SymQG {degree}", f"RaBitQ SymQG {degree} ef={ef}", seconds, size - 4 * data.dim,
                     4 * data.dim, lambda q, e=ef: index.search(q, data.k, e)[0], nothing)


def rabitq_hnsw(data, folder, key, bits, widths, factor=0):
    import rabitqlib

    def build():
        index = rabitqlib.HnswIndex(data.dim, data.rows, M, 200, bits, "l2" if data.metric == "l2" else "ip")
        index.build(data.base_n, *centroids(data, 16), num_threads=1)
        return index
    name = f"rabitq-hnsw{bits}-{key}"
    index, seconds = kept(folder, name, build, lambda i, p: i.save(p), rabitqlib.HnswIndex.load)
    size = os.path.getsize(os.path.join(folder, name)) / data.rows
    count = data.counts(factor)[0]
    for ef in widths:
        wide = max(ef, count)
        search = (ranked(data, lambda q, n, e=wide: index.search(q, n, e)[0], count) if factor
                  else lambda q, e=wide: index.search(q, data.k, e)[0])
        yield System(f"RaBitQ HNSW {bits}" + (" + exact rows" if factor else ""),
                     f"RaBitQ HNSW {bits} bits ef={ef}" + (f", {count} ranked exactly" if factor else ""), seconds,
                     size, 4 * data.dim if factor else 0, search, nothing)


# ---- SVS ----

def svs_build(data, folder, key, primary, residual):
    import svs
    path = os.path.join(folder, f"svs-{primary}x{residual}-{key}")
    parts = [os.path.join(path, part) for part in ("config", "graph", "data")]

    def build():
        vectors = path + ".fvecs"
        svs.write_vecs(data.base_n, vectors)
        loader = svs.LVQLoader(svs.VectorDataLoader(vectors, svs.DataType.float32), primary=primary, residual=residual,
                               padding=32)
        # Below 1 for a similarity, above for a distance: SVS's advice.
        shape = svs.VamanaBuildParameters(alpha=1.2 if data.metric == "l2" else 0.95, graph_max_degree=64,
                                          window_size=200)
        index = svs.Vamana.build(shape, loader, svs_metric(data), num_threads=1)
        os.remove(vectors)
        return index

    def save(index, where):
        shutil.rmtree(where, ignore_errors=True)
        os.makedirs(where)
        index.save(*parts)

    def load(_):
        return svs.Vamana(parts[0], svs.GraphLoader(parts[1]), svs.LVQLoader(parts[2], padding=32), svs_metric(data),
                          num_threads=1)
    index, seconds = kept(folder, os.path.basename(path), build, save, load)
    return index, seconds, disk_bytes(path) / data.rows


def svs_vamana(data, folder, key, primary, residual, widths, factor=0):
    index, seconds, size = svs_build(data, folder, key, primary, residual)
    count = data.counts(factor)[0]
    name = f"SVS Vamana LVQ{primary}" + (f"x{residual}" if residual else "")
    for width in widths:
        search = (ranked(data, lambda q, n: index.search(q, n)[0].astype(np.int64), count) if factor
                  else lambda q: index.search(q, data.k)[0])
        yield System(name + (" + exact rows" if factor else ""),
                     f"{name} window={width}" + (f", {count} ranked exactly" if factor else ""), seconds, size,
                     4 * data.dim if factor else 0, search,
                     lambda w=width: setattr(index, "search_window_size", max(w, count)))
