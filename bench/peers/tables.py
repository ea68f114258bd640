"""Which systems stand in which table, at which points of their curves, and what an empty call of each binding costs."""
import functools
import os

import numpy as np

import engines
import graphs
import lists
import scans
import systems
import tqlite
from systems import Data

CONFIDENCES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, tqlite.EXACT)
WIDTHS = (16, 40, 80, 160, 320, 640, 1280, 2560)
SLOWEST = 5.0  # seconds a query: what takes longer would be most of the run, and no one would choose it


def wanted(args, family):
    return args.only is None or family == "FAISS Flat" or any(w in family for w in args.only.split(","))


def each(args, data, makers):
    """The systems of [(family, maker)] that are wanted and answer. A peer that is absent or fails is named, and the
    table is made without it: a wheel is missing on some machines, and some refuse some dimensions or some k."""
    for family, maker in makers:
        if not wanted(args, family):
            continue
        what = family
        try:
            for system in maker():
                what = system.label
                system.prepare()
                system.search(data.queries_n[:1])
                _, seconds = systems.timed(lambda s=system: s.search(data.queries_n[:2]))
                if seconds > 2 * SLOWEST:
                    raise TimeoutError(f"{seconds / 2:.1f} s a query")
                yield system
        except Exception as error:  # their exceptions have no common base
            if family.startswith(("tqlite", "FAISS Flat")):
                raise
            print(f"{what}: left out, with what follows of it: {type(error).__name__}: {str(error)[:160]}", flush=True)


def codes(data, stores, args):
    """Codes only. Codes that lie in lists or graphs are asked for all they can give: speed is the other table's."""
    d, keep, key, lazy = data.dim, args.keep, args.key, functools.partial
    fast = [f"PQ{d}x4fs"] + [f"PQ{d // n}x4fs" for n in (2, 4) if d % n == 0]
    names = fast + ["SQ8", "SQ4", "RaBitQfs", "RaBitQfs2", "RaBitQfs4", "EDEN1", "EDEN2", "EDEN4", "EDEN8", "SQtqmse1",
                    "SQtqmse2", "SQtqmse3", "SQtqmse4", "SQtqmse8", "SQtq2", "SQtq3", "SQtq4", "SQtq5"]
    formats = [(b, 0) for b in (1, 2, 3, 4, 5, 6, 8)] + [(b, 1) for b in (2, 3, 4, 5, 6, 8)]
    yield from each(args, data, [("FAISS " + n, lazy(scans.faiss_codes, data, [n])) for n in ["Flat"] + names] + [
        ("turbovec", lazy(scans.turbovec_codes, data, (2, 3, 4))),
        ("ScaNN AH", lazy(scans.scann_codes, data)),
        ("SVS Flat", lazy(scans.svs_codes, data, keep, ((8, 0), (4, 4)))),
        ("SVS Vamana LVQ4x8", lazy(graphs.svs_vamana, data, keep, key, 4, 8, (1280,))),
        ("RaBitQ IVF", lazy(lists.rabitq_ivf_codes, data, keep, key, (1, 2, 4, 8))),
        ("RaBitQ HNSW", lazy(graphs.rabitq_hnsw, data, keep, key, 8, (1280,))),
        ("usearch i8", lazy(graphs.usearch_i8, data, keep, key, (1280,))),
        ("tqdb", lazy(engines.tqdb_codes, data, stores, (2, 3, 4, 8))),
        ("zvec", lazy(engines.zvec_codes, data, stores)),
        ("tqlite", lazy(systems.tqlite_codes, data, stores, formats))])


def refined(data):
    """FAISS codes in front of exact rows. Those without a FastScan kernel take long, so they get two points."""
    d, many, one_bit = data.dim, data.factors(scans.RANKED), data.factors(scans.RANKED_ONE_BIT)
    if d % 4 == 0:
        yield f"PQ{d // 4}x4fs", one_bit
    if d % 2 == 0:
        yield f"PQ{d // 2}x4fs", data.factors(scans.RANKED_FEW_BITS)
    yield f"PQ{d}x4fs", many
    yield "RaBitQfs", one_bit
    yield "RaBitQfs2", data.factors(scans.RANKED_FEW_BITS)[::2]
    for name in ("RaBitQfs4", "SQ8", "EDEN4", "SQtqmse4", "SQtq4"):
        yield name, many[1:5:3]


def exact(data, stores, args):
    d, keep, key, lazy = data.dim, args.keep, args.key, functools.partial
    widths, few_bits = graphs.efs(data, *WIDTHS), data.factors(scans.RANKED_FEW_BITS)
    pq = f"PQ{d // 2}x4fs" if d % 2 == 0 else f"PQ{d}x4fs"
    yield from each(args, data, [("FAISS Flat", lazy(scans.faiss_codes, data, ["Flat"]))] + [
        (f"FAISS {n},RFlat", lazy(scans.faiss_refined, data, n, f)) for n, f in refined(data)] + [
        (f"FAISS IVF,{pq},RFlat", lazy(lists.faiss_ivf, data, pq, few_bits[1::3])),
        ("turbovec", lazy(scans.turbovec_exact, data, 4, data.counts(*turbovec_factors(data)))),
        ("ScaNN AH", lazy(scans.scann_exact, data, few_bits)),
        ("ScaNN tree", lazy(lists.scann_tree, data, few_bits[1::3])),
        ("RaBitQ IVF", lazy(lists.rabitq_ivf, data, keep, key, (1, 2, 4))),
        ("RaBitQ SymQG", lazy(graphs.symqg_curve, data, keep, key, 64, widths)),
        ("RaBitQ HNSW", lazy(graphs.rabitq_hnsw, data, keep, key, 8, widths, 3)),
        ("SVS Vamana", lazy(graphs.svs_vamana, data, keep, key, 4, 8, widths)),
        ("SVS Vamana", lazy(graphs.svs_vamana, data, keep, key, 4, 8, widths, 2)),
        ("hnswlib", lazy(graphs.hnswlib_curve, data, keep, key, widths)),
        ("hnswlib", lazy(graphs.hnswlib_curve, data, keep, key, widths, 32, 400)),
        ("usearch f16", lazy(graphs.usearch_curve, data, keep, key, widths)),
        ("usearch i8", lazy(graphs.usearch_i8, data, keep, key, widths, 3)),
        ("tqdb", lazy(engines.tqdb_exact, data, stores, 4)),
        ("zvec", lazy(engines.zvec_exact, data, keep, key, widths)),
        ("tqlite", lazy(systems.tqlite_curve, data, stores, 4, True, CONFIDENCES)),
        ("tqlite", lazy(systems.tqlite_curve, data, stores, 4, False, CONFIDENCES))])


def turbovec_factors(data):
    """30 and 100 for ten neighbours, which its documentation speaks of, and points about them."""
    return (1, 1.5, 2, 3, 5, 10) if data.k <= 100 else (1, 1.2, 1.5, 2, 3)


def by_k(data, stores, args):
    """The leaders of `exact`, for several k."""
    d, keep, key, lazy = data.dim, args.keep, args.key, functools.partial
    widths, few_bits = graphs.efs(data, *WIDTHS), data.factors(scans.RANKED_FEW_BITS)
    pq = f"PQ{d // 2}x4fs" if d % 2 == 0 else f"PQ{d}x4fs"
    yield from each(args, data, [
        ("FAISS Flat", lazy(scans.faiss_codes, data, ["Flat"])),
        (f"FAISS {pq},RFlat", lazy(scans.faiss_refined, data, pq, few_bits)),
        (f"FAISS IVF,{pq},RFlat", lazy(lists.faiss_ivf, data, pq, few_bits[1::3])),
        ("turbovec", lazy(scans.turbovec_exact, data, 4, data.counts(*turbovec_factors(data)))),
        ("ScaNN AH", lazy(scans.scann_exact, data, few_bits)),
        ("RaBitQ IVF", lazy(lists.rabitq_ivf, data, keep, key, (1, 2))),
        ("RaBitQ SymQG", lazy(graphs.symqg_curve, data, keep, key, 64, widths)),
        ("SVS Vamana", lazy(graphs.svs_vamana, data, keep, key, 4, 8, widths, 2)),
        ("hnswlib", lazy(graphs.hnswlib_curve, data, keep, key, widths)),
        ("usearch f16", lazy(graphs.usearch_curve, data, keep, key, widths)),
        ("tqlite", lazy(systems.tqlite_curve, data, stores, 4, True, CONFIDENCES))])


# ---- Empty calls ----

def null_calls(data, stores):
    """(name, system, its data) of the smallest index that each binding makes; the name says its rows if there are more
    than one. Nothing of it is kept."""
    rows = {n: Data(data.base[:n].copy(), data.queries[:1], data.metric, 1) for n in (1, 32, 256)}
    one, more = rows[1], rows[32]
    folder = stores.folder()
    lazy = functools.partial
    makers = [
        ("FAISS Flat", one, lazy(scans.faiss_codes, one, ["Flat"])),
        ("turbovec", one, lazy(scans.turbovec_codes, one, [4])),
        ("turbovec and ranking by numpy", one, lazy(scans.turbovec_exact, one, 4, [1])),
        ("ScaNN (32 rows)", more, lazy(scans.scann_codes, more)),
        ("RaBitQ SymQG (256 rows)", rows[256], lazy(graphs.symqg_curve, rows[256], folder, "null", 32, [1])),
        ("SVS", one, lazy(scans.svs_codes, one, folder, [(8, 0)])),
        ("hnswlib", one, lazy(graphs.hnswlib_curve, one, None, "", [16])),
        ("usearch", one, lazy(graphs.usearch_curve, one, None, "", [16])),
        ("tqdb", one, lazy(engines.tqdb_codes, one, stores, [4])),
        ("zvec", one, lazy(engines.zvec_codes, one, stores)),
        ("tqlite", one, lazy(systems.tqlite_codes, one, stores, [(4, True)]))]
    for name, its, maker in makers:
        try:
            system = next(maker(), None)
        except Exception as error:  # as in each()
            print(f"null call of {name}: left out: {str(error)[:160]}", flush=True)
            continue
        if system is not None:
            system.prepare()
            yield name, system, its


def null_times(data, stores, ask):
    """[(name, microseconds)]."""
    times = []
    for name, system, its in null_calls(data, stores):
        queries = its.queries if name == "tqlite" else its.queries_n
        times.append((name, 1e3 * np.median(ask(system, np.repeat(queries, 1000, axis=0))[0])))
    return times


def keep_folder(args, stores):
    """--keep FOLDER, or one that goes away with the run."""
    return os.path.abspath(args.keep) if args.keep else stores.folder()
