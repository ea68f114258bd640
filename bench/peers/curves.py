"""Systems compared at equal recall: each family's own curve, interpolated."""
import numpy as np

TARGETS = (0.99, 0.995, 0.998, 0.9995)


def at_recall(points, target):
    """The value at `target` of [(recall, value)], smaller values being better, between the points that no cheaper point
    beats; linear in log(1 - recall). None beyond the best recall. A curve that begins beyond the target counts with
    its cheapest point: nothing is made up below it."""
    front, best = [], 0
    for value, recall in sorted((v, r) for r, v in points if not np.isnan(v)):
        if recall > best:
            best = recall
            front.append((np.log(max(1 - best, 1e-5)), value, best))
    above = [i for i, point in enumerate(front) if point[2] >= target]
    if not above:
        return None
    i = above[0]
    if i == 0:
        return front[0][1]
    (x0, y0, _), (x1, y1, _) = front[i - 1], front[i]
    if x0 == x1:
        return y1
    return y0 + (y1 - y0) * (np.log(max(1 - target, 1e-5)) - x0) / (x1 - x0)


def families(results):
    return list(dict.fromkeys(r["family"] for r in results))


def times_at(results, family, target):
    return at_recall([(r["recall"], r["ms_median"]) for r in results if r["family"] == family], target)


def rates_at(results, family, target):
    """Queries a second in batch, by the batch's own recall."""
    value = at_recall([(r["batch_recall"], 1e6 / r["batch_qps"]) for r in results if r["family"] == family
                       and r["batch_qps"] > 0], target)
    return None if value is None else 1e6 / value


def ratios_at(results, family, reference, target):
    """family's time over reference's, round by round: (median, lower quartile), or None. Recall is that of all rounds,
    since a round's few queries are easier or harder; times are the round's own, so that a slow minute hits both."""
    def of(name, turn):
        return at_recall([(r["recall"], r["round_ms"][turn]) for r in results if r["family"] == name], target)
    turns = range(len(results[0]["round_ms"]))
    pairs = [(of(family, t), of(reference, t)) for t in turns]
    if not pairs or any(a is None or b is None for a, b in pairs):
        return None
    ratios = [a / b for a, b in pairs]
    return np.median(ratios), np.percentile(ratios, 25)
