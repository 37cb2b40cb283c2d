"""The bank's loops on a GPU: what they do, rtsynth/sampler/cuda.py; imported only where they can run.

One warp is one thread block and walks through voices v, v + blocks, …; a lane owns rows lane, lane + 32, … and keeps
their states in registers for all segments of the block, so that a row costs memory only once a block. By reasoning, for
an H200 (132 multiprocessors, 64 KB of table in 256 KB of L1):
  - a row and sample takes 6 fused multiply-adds (1.5 clocks a warp), noise two loads at unaligned places that all lanes
    share (4 clocks, L1). Lanes as samples would save the sum over lanes but cost a scan of 10 shuffles;
  - the sum over rows goes through shared memory, 16 samples and two sides at a time: 32 sums, one a lane (4 clocks).
    Rows of one lane are added in registers first, so 64 rows pay as much for it as 32;
  - so noise is bound by the load and store units, at some 1e12 rows and samples a second, not by memory or arithmetic;
  - a voice that starts between two blocks' samples keeps the part of its segment that overhangs, as on the CPU, and
    voices are added in a fixed order, so blocks of any size give the same bits.
"""

from __future__ import annotations

import functools
from typing import Any

import numba.cuda
import numpy as np

from rtsynth.sampler.cuda import LANES, simulated
from rtsynth.sampler.noise import PERIOD, SEGMENT, WINDOW_BITS, WINDOW_ROWS

# Its annotations lack what kernels are written in. The simulator puts its own in place of this name.
cuda: Any = numba.cuda

HALF = SEGMENT // 2  # samples summed at once: with two sides, a sum a lane
COLUMNS = LANES + 1  # of the tile that is summed: one to spare, so that its rows begin in different banks

_u = np.uint32


def _inner(function: Any) -> Any:
    """A loop called from other loops. The simulator's own way of calling one is not safe between its threads."""
    return function if simulated() else cuda.jit(function, device=True)


@_inner
def hash32(counter, key_low, key_high):
    """`noise.hash32` for the GPU."""
    h = _u(_u(counter * _u(0x9E3779B9)) ^ key_low)
    h = _u(h ^ (h >> _u(16)))
    h = _u(h * _u(0x7FEB352D))
    h = _u(h ^ (h >> _u(15)))
    h = _u(h + key_high)
    h = _u(h * _u(0x846CA68B))
    h = _u(h ^ (h >> _u(16)))
    h = _u(h * _u(0x9E3779B1))
    return _u(h ^ (h >> _u(15)))


@functools.cache
def advance_loop(ringing: int, noisy: int) -> Any:
    """The kernel for `ringing` and `noisy` groups of 32 rows."""
    u, real = np.uint32, np.float32
    groups, drawn = ringing + noisy, -(-noisy * LANES // WINDOW_ROWS)
    windows = max(1, drawn)
    re_shift, im_shift, im_mask = u(32 - WINDOW_BITS), u(32 - 2 * WINDOW_BITS), u(PERIOD - 1)

    @cuda.jit
    def advance(
        table, step, jump, entries, keys, levels, x, ages, starts, course, rest, goals, moving, frames, mixes
    ):
        """Bring all voices `frames` samples on; the sum of each thread block's voices to mixes (blocks, 2, frames).

        Arrays as in `_Parameters`, `_State`, `_Buffers` of rtsynth/sampler/cuda.py; moving: goals are read.
        """
        where = cuda.shared.array((windows, SEGMENT), np.uint32)
        tile = cuda.shared.array((2, HALF, COLUMNS), np.float32)
        re, im = cuda.local.array(groups, np.float32), cuda.local.array(groups, np.float32)
        first_a, first_b = cuda.local.array(groups, np.float32), cuda.local.array(groups, np.float32)
        a, b = cuda.local.array(groups, np.float32), cuda.local.array(groups, np.float32)
        left, right = cuda.local.array(groups, np.float32), cuda.local.array(groups, np.float32)
        block, lane = cuda.blockIdx.x, cuda.threadIdx.x
        side, column = (
            u(lane // HALF),
            u(lane % HALF),
        )  # unsigned: an index that cannot wrap around is one add
        for q in range(lane, frames, LANES):
            mixes[block, 0, q] = real(0)
            mixes[block, 1, q] = real(0)
        for v in range(block, entries.shape[0], cuda.gridDim.x):
            entry = entries[v]
            if entry < 0:
                continue
            for j in range(groups):
                k = lane + LANES * j
                re[j], im[j] = step[entry, 0, k], step[entry, 1, k]
                a[j], b[j] = x[v, 0, k], x[v, 1, k]
                left[j], right[j] = levels[v, 0, k], levels[v, 1, k]
            start, age, now = starts[v], u(ages[v]), course[v, side]
            cuda.syncthreads()  # the mix is zero
            if lane < start:  # what overhung the last block; zero before a voice begins
                for c in range(2):
                    if lane < frames:
                        mixes[block, c, lane] += rest[v, c, lane]
            if start > frames:  # and overhangs this one too
                for c in range(2):
                    value = rest[v, c, lane + frames] if lane + frames < min(start, SEGMENT) else real(0)
                    cuda.syncthreads()
                    rest[v, c, lane] = value
            segment = 0
            while start < frames:
                for g in range(drawn):
                    where[g, lane] = hash32(u(age * u(SEGMENT) + u(lane)), keys[v, 0, g], keys[v, 1, g])
                goal = goals[segment, v, side] if moving else now
                slope = (goal - now) * real(1.0 / SEGMENT)
                cuda.syncthreads()  # places are there, and the last segment's mix and rest
                for j in range(ringing):
                    first_a[j], first_b[j] = a[j], b[j]
                for half in range(2):
                    t, early = u(0), u(HALF * half)
                    while t < u(
                        HALF
                    ):  # with `range`, numba carries a counter of its own through every sample
                        to_left = to_right = real(0)
                        for j in range(groups):
                            to_left += left[j] * a[j]
                            to_right += right[j] * a[j]
                            if j < ringing:
                                c = re[j] * a[j] - im[j] * b[j]
                                d = im[j] * a[j] + re[j] * b[j]
                            else:
                                row = LANES * (j - ringing)
                                place, shift = (
                                    where[row // WINDOW_ROWS, u(early + t)],
                                    u(lane + row % WINDOW_ROWS),
                                )
                                c = table[u((place >> re_shift) + shift)] + re[j] * a[j] - im[j] * b[j]
                                d = (
                                    table[u(((place >> im_shift) & im_mask) + shift)]
                                    + im[j] * a[j]
                                    + re[j] * b[j]
                                )
                            a[j], b[j] = c, d
                        tile[0, t, u(lane)] = to_left
                        tile[1, t, u(lane)] = to_right
                        t = u(t + u(1))
                    cuda.syncthreads()
                    total = real(0)
                    for i in range(LANES):
                        total += tile[side, column, u(i)]
                    at = HALF * half + column
                    total *= now + slope * real(at)
                    q = start + at
                    if q < frames:
                        mixes[block, side, q] += total
                    else:
                        rest[v, side, q - frames] = total
                    cuda.syncthreads()
                for j in range(ringing):  # once a segment, so that rounding does not add up sample by sample
                    k = lane + LANES * j
                    turn_re, turn_im = jump[entry, 0, k], jump[entry, 1, k]
                    a[j] = turn_re * first_a[j] - turn_im * first_b[j]
                    b[j] = turn_im * first_a[j] + turn_re * first_b[j]
                now += slope * real(SEGMENT)
                start += SEGMENT
                segment += 1
                age = u(age + u(1))
            for j in range(groups):
                k = lane + LANES * j
                x[v, 0, k], x[v, 1, k] = a[j], b[j]
            if column == 0:
                course[v, side] = now
            if lane == 0:
                starts[v], ages[v] = start - frames, age
            cuda.syncthreads()

    return advance


@functools.cache
def mix_loop(slices: int) -> Any:
    """The kernel that adds up what thread blocks left, in so many parts side by side."""
    real = np.float32

    @cuda.jit
    def mix(mixes, out):
        """Add mixes (blocks, 2 frames) to out (2 frames,), always in one order."""
        parts = cuda.shared.array((slices, LANES), np.float32)
        lane, part = cuda.threadIdx.x, cuda.threadIdx.y
        q = cuda.blockIdx.x * LANES + lane
        total = real(0)
        if q < out.shape[0]:
            for block in range(part, mixes.shape[0], slices):
                total += mixes[block, q]
        parts[part, lane] = total
        cuda.syncthreads()
        if part == 0 and q < out.shape[0]:
            total = real(0)
            for i in range(slices):
                total += parts[i, lane]
            out[q] = total

    return mix
