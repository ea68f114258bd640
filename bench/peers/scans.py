"""Peers that read every row's code: FAISS's flat indexes, turbovec, ScaNN without a tree, flat SVS."""
import os

import numpy as np

from systems import System, nothing, ranked, timed

# How many rows are ranked exactly, as multiples of k, by the bits that a dimension has in the codes.
RANKED = {1: (2, 4, 8, 16, 32, 64), 10: (1, 2, 3, 5, 8, 12, 20), 100: (1, 1.2, 1.5, 2, 3, 5),
          1000: (1, 1.1, 1.2, 1.5, 2, 3)}
RANKED_FEW_BITS = {1: (4, 8, 16, 32, 64, 128, 256), 10: (4, 8, 12, 16, 24, 32, 48, 64, 128),
                   100: (1.5, 2, 3, 4, 6, 8, 12, 24), 1000: (1.2, 1.5, 2, 3, 4, 6)}
RANKED_ONE_BIT = {1: (16, 64, 128, 256, 512, 1024), 10: (8, 16, 32, 64, 128, 256, 512),
                  100: (2, 4, 8, 16, 32, 64), 1000: (1.5, 2, 4, 8, 16)}


# ---- FAISS ----

def faiss_build(data, name):
    import faiss
    faiss.omp_set_num_threads(1)
    index = faiss.index_factory(data.dim, name, faiss.METRIC_L2 if data.metric == "l2" else faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained or any(word in name for word in ("EDEN", "SQtq", "RaBitQ")):
        index.train(data.base_n)
    index.add(data.base_n)
    return index


def faiss_bytes(data, index):
    import faiss
    return faiss.serialize_index(index).nbytes / data.rows


def faiss_try(data, name):
    """None where this release has no such index, or it refuses these dimensions: said, not hidden."""
    try:
        return timed(lambda: faiss_build(data, name))
    except Exception as error:
        print(f"faiss {name}: left out: {str(error)[:120]}", flush=True)
        return None


def faiss_codes(data, names):
    for name in names:
        made = faiss_try(data, name)
        if made is None:
            continue
        index, seconds = made
        size, exact = faiss_bytes(data, index), 0
        if name == "Flat":
            size, exact = 0, size
        yield System("FAISS " + name, "FAISS " + name, seconds, size, exact,
                     lambda q, i=index: i.search(q, data.k)[1], nothing)


def faiss_refined(data, name, factors):
    """name,RFlat: k_factor times k rows are ranked with the vectors, inside FAISS."""
    made = faiss_try(data, name + ",RFlat")
    if made is None:
        return
    index, seconds = made
    size = faiss_bytes(data, index) - 4 * data.dim
    for factor in factors:
        yield System(f"FAISS {name},RFlat", f"FAISS {name},RFlat k_factor={factor}", seconds, size, 4 * data.dim,
                     lambda q: index.search(q, data.k)[1], lambda f=factor: setattr(index, "k_factor", f))


# ---- turbovec: dimensions in multiples of 8, so zeros are appended, and counted ----

def padded(x):
    short = -x.shape[1] % 8
    return x if short == 0 else np.ascontiguousarray(np.pad(x, ((0, 0), (0, short))))


def turbovec_build(data, bits):
    import turbovec
    base = padded(data.base_n)

    def build():
        index = turbovec.TurboQuantIndex(base.shape[1], bits)
        index.add(base)
        index.prepare()
        return index
    index, seconds = timed(build)
    return index, seconds, len(index.to_bytes()) / data.rows


def turbovec_ids(index, queries, k):
    return np.asarray(index.search(padded(queries), k)[1]).astype(np.int64)


def turbovec_codes(data, bits_list):
    if data.metric == "l2":
        return
    for bits in bits_list:
        index, seconds, size = turbovec_build(data, bits)
        yield System(f"turbovec {bits}", f"turbovec {bits} bits", seconds, size, 0,
                     lambda q, i=index: turbovec_ids(i, q, data.k), nothing)


def turbovec_exact(data, bits, counts):
    if data.metric == "l2":
        return
    index, seconds, size = turbovec_build(data, bits)
    for count in counts:
        yield System(f"turbovec {bits} + exact rows", f"turbovec {bits} bits, {count} ranked exactly", seconds, size,
                     4 * data.dim, ranked(data, lambda q, n: turbovec_ids(index, q, n), count), nothing)


# ---- ScaNN: 4 bits for two dimensions, trained; with a tree in lists.py ----

def scann_build(data, leaves=0, exact=True):
    import scann

    def build():
        builder = scann.scann_ops_pybind.builder(data.base_n, data.k,
                                                 "squared_l2" if data.metric == "l2" else "dot_product")
        if leaves:
            builder = builder.tree(leaves, min(leaves, 100), training_sample_size=data.rows)
        builder = builder.score_ah(2, anisotropic_quantization_threshold=np.nan if data.metric == "l2" else 0.2)
        return (builder.reorder(10 * data.k) if exact else builder).set_n_training_threads(1).build()
    return timed(build)


def scann_size(data):
    """Half a byte for two dimensions; ScaNN keeps the vectors of its build beside them, which count as exact rows."""
    return (data.dim + 1) // 2 / 2


def scann_search(index, k, **knobs):
    def search(queries):
        if len(queries) == 1:
            return index.search(queries[0], k, **knobs)[0][None]
        return index.search_batched(queries, k, **knobs)[0]
    return search


def scann_codes(data):
    index, seconds = scann_build(data, exact=False)
    yield System("ScaNN AH", "ScaNN AH", seconds, scann_size(data), 0, scann_search(index, data.k), nothing)


def scann_exact(data, factors):
    index, seconds = scann_build(data)
    for count in data.counts(*factors):
        yield System("ScaNN AH + reorder", f"ScaNN AH, {count} reordered", seconds, scann_size(data), 4 * data.dim,
                     scann_search(index, data.k, pre_reorder_num_neighbors=count), nothing)


# ---- SVS without a graph ----

def svs_metric(data):
    import svs
    return svs.DistanceType.L2 if data.metric == "l2" else svs.DistanceType.MIP


def svs_codes(data, folder, levels):
    import svs
    path = os.path.join(folder, "rows.fvecs")
    svs.write_vecs(data.base_n, path)
    for primary, residual in levels:
        def build():
            loader = svs.LVQLoader(svs.VectorDataLoader(path, svs.DataType.float32), primary=primary, residual=residual)
            return svs.Flat(loader, svs_metric(data), num_threads=1)
        index, seconds = timed(build)
        name = f"SVS Flat LVQ{primary}" + (f"x{residual}" if residual else "")
        yield System(name, name, seconds, svs_bytes(data, primary, residual), 0,
                     lambda q, i=index: i.search(q, data.k)[0], nothing)


def svs_bytes(data, primary, residual):
    """As a saved graph's data are: 4 bits of the first level come in blocks of 128 dimensions, and 9 bytes a vector
    are its scale, its bias and what it is centred by."""
    first = -(-data.dim // 128) * 64 if primary == 4 else primary * data.dim / 8
    return first + residual * data.dim / 8 + 9
