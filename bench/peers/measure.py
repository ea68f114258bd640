"""What is a hit, and who is asked when.

A hit by score: the row's score in double, from the vectors as given, reaches the true k-th to 1e-6 relative. Systems
take turns in rounds whose order changes; a round asks its share of the queries, one a call. Batches come after, in
turns too."""
import time

import numpy as np

ROUND_SECONDS = 1.0  # a system's share of one round
BATCH = 1000
BATCH_SECONDS = 8.0  # a system that would take longer for a batch, query by query, is not asked for one; Flat is


class Truth:
    def __init__(self, data):
        self.data, self.base = data, data.base.astype(np.float64)
        self.squares = np.einsum("ij,ij->i", self.base, self.base)
        self.ids, self.bars = [], []
        for i in range(0, len(data.queries), 64):
            scores = self.scores(data.queries[i:i + 64].astype(np.float64) @ self.base.T, i, slice(None))
            best = np.argpartition(-scores, data.k - 1, axis=1)[:, :data.k]
            self.ids.append(best)
            self.bars.append(np.take_along_axis(scores, best, 1).min(axis=1))
        self.ids, self.bars = np.concatenate(self.ids), np.concatenate(self.bars)

    def scores(self, dots, first, rows):
        q = self.data.queries[first:first + len(dots)].astype(np.float64)
        square = np.einsum("ij,ij->i", q, q)[:, None]
        if self.data.metric == "ip":
            return dots
        if self.data.metric == "l2":
            return 2 * dots - square - self.squares[rows]
        return dots / np.maximum(np.sqrt(square) * np.sqrt(self.squares[rows]), 1e-300)

    def judge(self, query, ids):
        """Shares of hits by score and by id of one query's list. An id twice, or one that no row has, is no hit."""
        ids = np.unique(np.asarray(ids).astype(np.int64)[:self.data.k])
        ids = ids[(ids >= 0) & (ids < len(self.base))]
        dots = (self.base[ids] @ self.data.queries[query].astype(np.float64))[None, :]
        bar = self.bars[query]
        by_score = np.count_nonzero(self.scores(dots, query, ids) >= bar - 1e-6 * abs(bar))
        return min(by_score, self.data.k) / self.data.k, len(np.intersect1d(ids, self.ids[query])) / self.data.k


def interval(values):
    rng = np.random.default_rng(1)
    means = values[rng.integers(0, len(values), (1000, len(values)))].mean(axis=1)
    return np.percentile(means, [2.5, 97.5])


def ask(system, queries):
    """Milliseconds of every query, one a call, and the answers."""
    times, answers = np.empty(len(queries)), []
    for i in range(len(queries)):
        query = queries[i:i + 1]
        start = time.perf_counter()
        found = system.search(query)
        times[i] = 1e3 * (time.perf_counter() - start)
        answers.append(found[0])
    return times, answers


def queries_of(system, data):
    return data.queries if system.family.startswith("tqlite") else data.queries_n


def warm_up(system, queries):
    """A tenth of the coming share, of other queries: what the system before it left in the caches is gone after."""
    first = ask(system, queries[:1])[0].min()
    more = queries[1:1 + min(len(queries) // 10, int(100 / max(first, 1e-3)))]
    return min(first, ask(system, more)[0].min()) if len(more) else first


def measure(systems, data, truth, rounds, batches):
    """One dict a system. Round r asks share r of the queries."""
    shares = np.array_split(np.arange(len(data.queries)), rounds)
    rng = np.random.default_rng(2)
    times = [[] for _ in systems]
    judged = [[] for _ in systems]
    for number, share in enumerate(shares):
        for s in rng.permutation(len(systems)):
            system = systems[s]
            system.prepare()
            queries = queries_of(system, data)
            once = warm_up(system, queries[shares[number - 1]])
            mine = share[:max(2, int(1e3 * ROUND_SECONDS / max(once, 1e-3)))]
            milliseconds, answers = ask(system, np.ascontiguousarray(queries[mine]))
            times[s].append(milliseconds)
            judged[s] += [truth.judge(q, a) for q, a in zip(mine, answers)]
        print(f"round {number + 1} of {rounds}", flush=True)
    asked = worth_a_batch(systems, [np.median(np.concatenate(t)) for t in times],
                          [np.mean([score for score, _ in j]) for j in judged])
    rates, recalls = measure_batches(systems, data, truth, batches, asked, rng)
    flat = next(i for i, s in enumerate(systems) if s.label == "FAISS Flat")
    return [summary(s, times[i], times[flat], np.array(judged[i]), rates[i], recalls[i]) for i, s in enumerate(systems)]


def worth_a_batch(systems, times, recalls):
    """Which systems are asked for batches: not those that another point of their family beats in both."""
    def beaten(i):
        return any(systems[j].family == systems[i].family and times[j] < times[i] and recalls[j] >= recalls[i]
                   for j in range(len(systems)))
    return [s.label == "FAISS Flat" or (times[i] * BATCH <= 1e3 * BATCH_SECONDS and not beaten(i))
            for i, s in enumerate(systems)]


def measure_batches(systems, data, truth, batches, asked, rng):
    """Queries a second of every batch, and the recall of the last one: some systems answer batches another way."""
    rates = [[] for _ in systems]
    recalls = [np.nan] * len(systems)
    for number in range(batches):
        for s in rng.permutation(len(systems)):
            if not asked[s]:
                continue
            system = systems[s]
            queries = np.ascontiguousarray(queries_of(system, data)[:BATCH])
            system.prepare()
            system.search(queries[:8])
            start = time.perf_counter()
            found = system.search(queries)
            rates[s].append(len(queries) / (time.perf_counter() - start))
            if number == batches - 1:
                recalls[s] = np.mean([truth.judge(q, ids)[0] for q, ids in enumerate(found)])
        print(f"batch {number + 1} of {batches}", flush=True)
    return rates, recalls


def summary(system, times, flat_times, judged, rates, batch_recall):
    every = np.concatenate(times)
    ratios = [np.median(f) / np.median(t) for f, t in zip(flat_times, times)]
    low, high = interval(judged[:, 0])
    p50, p99 = np.median(every), np.percentile(every, 99)
    return dict(family=system.family, system=system.label, build_s=system.build_s, ms_median=p50, ms_p99=p99,
                p99_p50=p99 / p50, times_flat=np.median(ratios), times_flat_low=min(ratios),
                times_flat_high=max(ratios), batch_qps=np.median(rates) if rates else np.nan,
                batch_recall=batch_recall, recall=judged[:, 0].mean(), recall_low=low, recall_high=high,
                recall_id=judged[:, 1].mean(), queries=len(judged), code_bytes=system.code_bytes,
                exact_bytes=system.exact_bytes, round_ms=[float(np.median(t)) for t in times])
