"""Peers that read the codes of the nearest lists only: FAISS IVF, ScaNN's tree, RaBitQ's IVF."""
import os

import numpy as np

from scans import faiss_bytes, faiss_try, scann_build, scann_search, scann_size
from systems import System, kept, nothing


def list_count(rows):
    """A power of two about twice the square root of the rows, FAISS's advice for sets of this size."""
    return 1 << max(1, round(np.log2(2 * np.sqrt(rows))))


def probes(lists):
    """Shares of the lists: from fast and bad to all of them."""
    return sorted({max(1, int(lists * share)) for share in (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)})


def faiss_ivf(data, code, factors):
    """A grid of both knobs: at_recall takes the points that no other point of the family beats."""
    import faiss
    lists = list_count(data.rows)
    name = f"IVF{lists},{code},RFlat"
    made = faiss_try(data, name)
    if made is None:
        return
    index, seconds = made
    size = faiss_bytes(data, index) - 4 * data.dim
    inner = faiss.downcast_index(index.base_index)
    for factor in factors:
        for count in probes(lists):
            def prepare(f=factor, n=count):
                index.k_factor, inner.nprobe = f, n
            yield System("FAISS " + name, f"FAISS {name} nprobe={count} k_factor={factor}", seconds, size, 4 * data.dim,
                         lambda q: index.search(q, data.k)[1], prepare)


def scann_tree(data, factors):
    lists = list_count(data.rows)
    index, seconds = scann_build(data, lists)
    for factor in factors:
        for count in probes(lists):
            reordered = data.counts(factor)[0]
            yield System("ScaNN tree-AH + reorder", f"ScaNN tree of {lists}, {count} searched, {reordered} reordered",
                         seconds, scann_size(data), 4 * data.dim,
                         scann_search(index, data.k, leaves_to_search=count, pre_reorder_num_neighbors=reordered),
                         nothing)


# ---- RaBitQ's own library. Centroids are the caller's; as in its examples they come from FAISS ----

def centroids(data, count):
    import faiss
    faiss.omp_set_num_threads(1)
    means = faiss.Kmeans(data.dim, count, niter=10, seed=1)
    means.train(data.base_n)
    return means.centroids, means.index.search(data.base_n, 1)[1].ravel().astype(np.uint32)


def rabitq_build(data, folder, key, bits):
    import rabitqlib
    lists = list_count(data.rows)

    def build():
        index = rabitqlib.IvfIndex(data.dim, data.rows, lists, bits, "l2" if data.metric == "l2" else "ip")
        index.build(data.base_n, *centroids(data, lists))
        return index
    name = f"rabitq-ivf{bits}-{key}"
    index, seconds = kept(folder, name, build, lambda i, p: i.save(p), rabitqlib.IvfIndex.load)
    return index, seconds, os.path.getsize(os.path.join(folder, name)) / data.rows


def rabitq_ivf(data, folder, key, factors):
    """nbits=32 keeps the vectors and ranks by them while it scans, dismissing rows by a bound that is right most times:
    asked for more than k it dismisses fewer, which is its way past .998. The answers come in order."""
    index, seconds, size = rabitq_build(data, folder, key, 32)
    for factor in factors:
        many = data.counts(factor)[0]
        for count in probes(list_count(data.rows)):
            yield System("RaBitQ IVF + exact rows", f"RaBitQ IVF nprobe={count}, exact rows, first of {many}", seconds,
                         size - 4 * data.dim, 4 * data.dim,
                         lambda q, n=count, m=many: index.search(q, m, n)[0][:, :data.k], nothing)


def rabitq_ivf_codes(data, folder, key, bits_list):
    for bits in bits_list:
        index, seconds, size = rabitq_build(data, folder, key, bits)
        count = list_count(data.rows)
        yield System(f"RaBitQ IVF {bits}", f"RaBitQ IVF {bits} bits, all lists", seconds, size, 0,
                     lambda q, i=index: i.search(q, data.k, count)[0], nothing)
