"""The systems of gpu_peers.py. Each is made from (made, rows, k) and answers search(queries f32[n][dim]) with ids
[n][k], all on the device."""
import torch
import triton
import triton.language as tl


class System:
    table, graphs, events, note = "exact", True, True, ""

    def filled(self, made, rows, width, dtype, convert):
        """[rows][width], converted piece by piece from unit vectors."""
        whole = torch.empty(rows, width, dtype=dtype, device=made.device)
        for first, piece in made.pieces(rows):
            whole[first:first + len(piece)] = convert(piece / piece.norm(dim=1, keepdim=True), first)
        return whole


# ---- Reading memory ----

@triton.jit
def read_kernel(source, out, n, BLOCK: tl.constexpr):
    seen = tl.zeros([BLOCK], tl.int32)
    at = tl.program_id(0).to(tl.int64) * BLOCK
    while at < n:
        seen ^= tl.load(source + at + tl.arange(0, BLOCK))
        at += tl.num_programs(0).to(tl.int64) * BLOCK
    tl.store(out + tl.program_id(0), tl.max(seen, 0))


def read_all(words, way):
    """Read int32 words whole, in one of six ways. Their number is a multiple of 16,384."""
    block = (4096, 8192, 16384)[way % 3]
    grid = 132 * (2, 4)[way // 3] * (16384 // block)
    read_kernel[(grid,)](words, words, words.numel(), BLOCK=block, num_warps=8 if way % 3 < 2 else 16)


# ---- Products of floats ----

class TorchHalf(System):
    """One product of all rows in fp16, and topk."""
    name = "torch fp16 matvec + topk"

    def __init__(self, made, rows, k):
        self.k, self.bytes = k, rows * made.dim * 2
        self.rows = self.filled(made, rows, made.dim, torch.float16, lambda unit, first: unit.half())

    def search(self, queries):
        half = queries.half()
        scores = torch.mv(self.rows, half[0])[None] if len(half) == 1 else half @ self.rows.T
        return scores.topk(self.k, dim=1).indices


class JaxHalf(TorchHalf):
    """The same rows by XLA, and approx_max_k."""
    name, graphs, events, note = "jax fp16 + approx_max_k", False, False, "recall_target .99"

    def __init__(self, made, rows, k):
        super().__init__(made, rows, k)
        import jax
        import jax.numpy as jnp
        self.jax = jax
        self.shared = jax.dlpack.from_dlpack(self.rows)

        def best(rows, queries):
            scores = jnp.matmul(queries, rows.T, preferred_element_type=jnp.float32)
            return jax.lax.approx_max_k(scores, k, recall_target=0.99)[1]
        self.best = jax.jit(best)

    def search(self, queries):
        found = self.best(self.shared, self.jax.dlpack.from_dlpack(queries.half().contiguous()))
        return torch.from_dlpack(found.block_until_ready())


# ---- Codes of 8 bits ----

class TorchInt8(System):
    """Rows and queries in int8 with one scale each. _int_mm wants columns in eights: one query is asked eight times."""
    name, table = "torch int8 _int_mm + topk", "codes"

    def __init__(self, made, rows, k):
        self.k, self.bytes = k, rows * (made.dim + 4)
        self.scales = torch.empty(rows, device=made.device)
        self.rows = self.filled(made, rows, made.dim, torch.int8, self.convert)

    def convert(self, unit, first):
        largest = unit.abs().amax(dim=1, keepdim=True) / 127
        self.scales[first:first + len(unit)] = largest[:, 0]
        return (unit / largest).round().to(torch.int8)

    def search(self, queries):
        wide = queries.expand(8, -1) if len(queries) == 1 else queries
        small = (wide * (127 / wide.abs().amax(dim=1, keepdim=True))).round().to(torch.int8)
        products = torch._int_mm(self.rows, small.t())[:, :len(queries)]
        return (products * self.scales[:, None]).t().contiguous().topk(self.k, dim=1).indices


# ---- Codes of 4 bits ----

# Nibble k of word w is dimension k * WORDS + w, WORDS = dim / 8. Levels are n - 7.5 for a nibble n.

@triton.jit
def kept(sums, scales, scores, best, row, rows, column, count):
    """Scores to memory, and the best of the block's."""
    inside = row < rows
    sums = sums * tl.load(scales + row, mask=inside, other=0.0)[:, None]
    sums = tl.where(inside[:, None], sums, float("-inf"))
    tl.store(scores + column[None, :] * rows.to(tl.int64) + row[:, None], sums,
             mask=inside[:, None] & (column < count)[None, :])
    tl.store(best + column * tl.num_programs(0) + tl.program_id(0), tl.max(sums, 0), mask=column < count)


@triton.jit
def by_bytes(codes, scales, queries, offsets, scores, best, rows, WORDS: tl.constexpr, ROWS: tl.constexpr,
             COUNT: tl.constexpr):
    """Up to 16 queries by tensor cores; a nibble becomes the half n - 8. `queries` are in the order of low nibbles of
    bytes, then of high ones."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column, byte = tl.arange(0, 16), tl.arange(0, 128)
    sums = tl.zeros([ROWS, 16], tl.float32)
    for at in tl.static_range(0, 4 * WORDS, 128):
        place = row[:, None] * (4 * WORDS) + (at + byte)[None, :]
        pair = tl.load(codes + place, mask=(row < rows)[:, None], other=0).to(tl.int16)
        low = ((pair & 15) | 0x6400).to(tl.float16, bitcast=True) - 1032.0
        high = ((pair >> 4) | 0x6400).to(tl.float16, bitcast=True) - 1032.0
        first = tl.load(queries + (at + byte)[:, None] * 16 + column[None, :])
        second = tl.load(queries + (4 * WORDS + at + byte)[:, None] * 16 + column[None, :])
        sums = tl.dot(low.to(tl.float16), first, sums)
        sums = tl.dot(high.to(tl.float16), second, sums)
    kept(sums + tl.load(offsets + column)[None, :], scales, scores, best, row, rows, column, COUNT)


@triton.jit
def by_words(codes, scales, queries, offsets, scores, best, rows, WORDS: tl.constexpr, ROWS: tl.constexpr,
             COUNT: tl.constexpr):
    """The same from words of eight nibbles; `queries` are in order."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column, word = tl.arange(0, 16), tl.arange(0, 32)
    sums = tl.zeros([ROWS, 16], tl.float32)
    for at in tl.static_range(0, WORDS, 32):
        words = tl.load(codes + row[:, None] * WORDS + (at + word)[None, :], mask=(row < rows)[:, None], other=0)
        for k in tl.static_range(0, 8):
            level = (((words >> (4 * k)) & 15) | 0x6400).to(tl.int16).to(tl.float16, bitcast=True) - 1032.0
            part = tl.load(queries + (k * WORDS + at + word)[:, None] * 16 + column[None, :])
            sums = tl.dot(level.to(tl.float16), part, sums)
    kept(sums + tl.load(offsets + column)[None, :], scales, scores, best, row, rows, column, COUNT)


@triton.jit
def by_sums(codes, scales, queries, offsets, scores, best, rows, WORDS: tl.constexpr, ROWS: tl.constexpr,
            COUNT: tl.constexpr):
    """One query by multiplications and additions; COUNT is 1."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    word = tl.arange(0, 32)
    sums = tl.zeros([ROWS, 32], tl.float32)
    for at in tl.static_range(0, WORDS, 32):
        words = tl.load(codes + row[:, None] * WORDS + (at + word)[None, :], mask=(row < rows)[:, None], other=0)
        for k in tl.static_range(0, 8):
            level = (((words >> (4 * k)) & 15) | 0x4B000000).to(tl.float32, bitcast=True) - 8388616.0
            sums += level * tl.load(queries + (k * WORDS + at + word) * 16).to(tl.float32)[None, :]
    column = tl.arange(0, 1)
    kept((tl.sum(sums, 1) + tl.load(offsets))[:, None], scales, scores, best, row, rows, column, COUNT)


class TritonFour(System):
    """Sixteen even levels, two a byte, decoded in registers. The ten best lie in the ten blocks with the best maxima,
    so topk sees maxima and those blocks alone."""
    name, table = "Triton 4 bits + topk by blocks", "codes"
    STEP = 0.335  # between levels, in standard deviations: least error for a normal coordinate
    ways = {}  # the fastest configuration by number of queries, found on the first set of rows

    def __init__(self, made, rows, k):
        self.k, self.words, self.count = k, made.dim // 8, rows
        self.bytes = rows * (4 * self.words + 4)
        self.scales = torch.empty(rows, device=made.device)
        self.codes = self.filled(made, rows, self.words, torch.int32, self.convert)
        self.scores = torch.empty(8, rows, device=made.device)
        byte = torch.arange(4 * self.words, device=made.device)
        low = byte % 4 * 2 * self.words + byte // 4
        self.of_bytes = torch.cat([low, low + self.words])
        for count in (1, 8):
            if count not in self.ways:
                self.ways[count] = self.fastest(made.queries(count))
        self.note = "configurations " + ", ".join(
            f"{n}: {way[0].fn.__name__} {way[1]} rows {way[2]} warps" for n, way in self.ways.items())

    def convert(self, unit, first):
        index = (unit * (unit.shape[1]**0.5 / self.STEP) + 8).floor().clamp(0, 15)
        self.scales[first:first + len(unit)] = 1 / ((index - 7.5) * unit).sum(dim=1)
        shifts = torch.arange(0, 32, 4, device=unit.device)
        words = (index.long().view(len(unit), 8, self.words) << shifts[None, :, None]).sum(dim=1)
        return torch.where(words >= 1 << 31, words - (1 << 32), words).int()

    def fastest(self, queries):
        from gpu_peers import by_events
        tried = []
        ways = [(by_bytes, 64, 4), (by_bytes, 128, 8), (by_words, 64, 4), (by_words, 128, 4), (by_words, 128, 8)]
        if len(queries) == 1:
            ways += [(by_sums, 16, 4), (by_sums, 32, 4), (by_sums, 64, 4), (by_sums, 64, 8)]
        for way in ways:
            try:
                tried.append((by_events(lambda i, way=way: self.run(queries, way), 1)[10], len(tried), way))
            except Exception:  # more registers or shared memory than there are
                torch.cuda.synchronize()
        return min(tried)[2]

    def run(self, queries, way):
        kernel, rows, warps = way
        n, blocks = len(queries), triton.cdiv(self.count, rows)
        half = torch.zeros(8 * self.words, 16, dtype=torch.float16, device=queries.device)
        half[:, :n] = queries.T[self.of_bytes] if kernel is by_bytes else queries.T
        offsets = 0.5 * half.float().sum(dim=0)
        best = torch.empty(n, blocks, device=queries.device)
        codes = self.codes.view(torch.uint8) if kernel is by_bytes else self.codes
        kernel[(blocks,)](codes, self.scales, half, offsets, self.scores, best, self.count, WORDS=self.words,
                          ROWS=rows, COUNT=n, num_warps=warps)
        top = best.topk(self.k, dim=1).indices
        ids = (top[:, :, None] * rows + torch.arange(rows, device=queries.device)).flatten(1)
        scores = self.scores[:n].gather(1, ids.clamp(max=self.count - 1))
        return ids.gather(1, scores.masked_fill(ids >= self.count, -torch.inf).topk(self.k, dim=1).indices)

    def search(self, queries):
        return self.run(queries, self.ways[len(queries)])


class BitsandbytesNf4(System):
    """NF4 in blocks of 64, the matrix product of language models with 4-bit weights, and topk."""
    name, table, note = "bitsandbytes NF4 gemv + topk", "codes", "8 queries: decoded to fp16 first"

    def __init__(self, made, rows, k):
        import bitsandbytes
        if rows * made.dim >= 1 << 31:
            raise ValueError(f"{rows} x {made.dim} elements are beyond its 32-bit index")
        self.product, self.k = bitsandbytes.matmul_4bit, k
        whole = self.filled(made, rows, made.dim, torch.float16, lambda unit, first: unit.half())
        self.codes, self.state = bitsandbytes.functional.quantize_4bit(whole, blocksize=64, quant_type="nf4")
        self.bytes = rows * (made.dim // 2 + made.dim // 64 * 4)

    def search(self, queries):
        half = queries.half()
        with torch.no_grad():
            return self.product(half, self.codes.t(), quant_state=self.state).topk(self.k, dim=1).indices


SYSTEMS = [TorchHalf, JaxHalf, TorchInt8, TritonFour, BitsandbytesNf4]
