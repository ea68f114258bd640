"""Rows that bench/gpu.c makes, made again on the device, and the true neighbours among them.

A row is 7 * centre + 7 * neighbourhood + 8 * its own noise: 500 centres, 20,000 neighbourhoods of which 40 share a
centre. All of it is in integers below 2^22, so the rows are the same floats in C and here. No row comes twice."""
import torch

SEED_GOLDEN = 0x9E3779B97F4A7C15
NEIGHBOURHOODS, CENTRES, QUERIES_FROM = 20000, 500, 10**12
NOISE, CENTRE, NEIGHBOURHOOD, CHOICE = 1, 2, 3, 4
PIECE = 1 << 16


def signed(value):
    return value - (1 << 64) if value >= 1 << 63 else value


def shifted(z, bits):
    """Of int64 taken as unsigned."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def mixed(z):
    """SplitMix64's finalizer."""
    z = (z ^ shifted(z, 30)) * signed(0xBF58476D1CE4E5B9)
    z = (z ^ shifted(z, 27)) * signed(0x94D049BB133111EB)
    return z ^ shifted(z, 31)


def noise(stream, numbers, dim):
    """Sums of four uniform numbers of 16 bits, around 0: int64[len(numbers)][dim]."""
    steps = torch.tensor([signed((j + 1) * SEED_GOLDEN % (1 << 64)) for j in range(dim)], device=numbers.device)
    z = mixed(mixed(numbers + (stream << 56))[:, None] + steps[None, :])
    return (z & 0xFFFF) + (shifted(z, 16) & 0xFFFF) + (shifted(z, 32) & 0xFFFF) + shifted(z, 48) - 131070


class Made:
    def __init__(self, dim, device="cuda"):
        self.dim, self.device = dim, device
        centres = noise(CENTRE, torch.arange(CENTRES, device=device), dim)
        self.shared = torch.cat([
            7 * (noise(NEIGHBOURHOOD, part, dim) + centres[part % CENTRES])
            for part in torch.arange(NEIGHBOURHOODS, device=device).split(PIECE // 8)])

    def rows(self, first, count):
        """f32[count][dim]"""
        numbers = torch.arange(first, first + count, device=self.device)
        where = shifted(mixed(numbers + (CHOICE << 56)), 33) % NEIGHBOURHOODS
        return (self.shared[where] + 8 * noise(NOISE, numbers, self.dim)).float() * 2.0**-20

    def queries(self, count):
        """Rows like the others, and none of them."""
        return self.rows(QUERIES_FROM, count)

    def pieces(self, count):
        for first in range(0, count, PIECE):
            yield first, self.rows(first, min(PIECE, count - first))


class Truth:
    """The k best of the first `rows` rows by cosine: floats find 8 k, doubles decide."""

    def __init__(self, made, queries, rows, k):
        self.made, self.k, self.queries = made, k, queries.double()
        best = torch.full((len(queries), 8 * k), -2.0, device=made.device)
        ids = torch.full((len(queries), 8 * k), -1, device=made.device)
        for first, piece in made.pieces(rows):
            scores = (queries @ piece.T) / piece.norm(dim=1)
            top = scores.topk(min(8 * k, len(piece)), dim=1)
            best, order = torch.cat([best, top.values], 1).topk(8 * k, dim=1)
            ids = torch.cat([ids, top.indices + first], 1).gather(1, order)
        self.scores, self.ids = torch.empty(len(queries), k), []
        for i in range(len(queries)):
            exact = self.exact(i, ids[i]).topk(k)
            self.scores[i], found = exact.values.cpu(), ids[i][exact.indices]
            self.ids.append(found.tolist())

    def exact(self, query, ids):
        rows = torch.cat([self.made.rows(int(i), 1) for i in ids]).double()
        return rows @ self.queries[query] / rows.norm(dim=1)

    def hits(self, query, ids):
        """How many of the ids are hits by score: bench/README.md."""
        ids = torch.tensor(sorted({int(i) for i in ids if i >= 0}), device=self.made.device)
        bar = float(self.scores[query].min())
        return int((self.exact(query, ids) >= bar - 1e-6 * abs(bar)).sum()) if len(ids) else 0
