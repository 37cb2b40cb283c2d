"""Counter-based noise: the number drawn depends on (seed, voice, row, sample) alone, never on the blocks.

A 64-bit key a row, a 32-bit counter a sample; two rounds of an xor-shift-multiply hash (constants: C. Wellons,
"Prospecting for hash functions", lowbias32) give 32 bits. What becomes of them:

* the start of a row and the innovations: two true Gaussians, by Box and Muller (1958), with polynomials for logarithm,
  sine and cosine so that the loops vectorise; all in float32. |z| < 5.9;
* the noise that keeps rows alive, two numbers a row and sample: two places in a table of 16 384 normals, one for re and
  one for im, where 64 rows read side by side. The table goes through the quantiles of the normal law in an order whose
  circular autocorrelation is 0 at every lag but 0 and half its length, where it is -1 (`window_table`). So at even
  places all numbers have mean 0, variance 1 and no correlation, exactly, across rows, parts and samples; odd moments
  are 0 and the fourth is within 0.01 of 3. What is heard sums many rows and samples, and is closer to Gaussian than
  that (docs/decisions.md). It costs 0.01 ns a pair, where Box and Muller take 1.

A pair by Box and Muller is written as two functions of one hash: LLVM shares what they have in common, whereas a
function that returns a tuple keeps LLVM from vectorising the loop around it (ten times slower, measured).
"""

from __future__ import annotations

import functools
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rtsynth.sampler.compiled import bits_of, float_of, inner

SEGMENT = 32  # samples: the control grid of a voice, and the length of everything drawn at once
START = np.uint32(0xFFFFFFFF)  # the counter of a row's start; a voice would reach it as a sample after 24 h

WINDOW_BITS = 14
PERIOD = 1 << WINDOW_BITS  # places in the table of normals
WINDOW_ROWS = 64  # that read side by side from one place

U = np.uint64
_u32 = np.uint32
_f32 = np.float32
_GOLDEN = np.uint32(0x9E3779B9)


@inner
def _first_round(h):
    h = _u32(h ^ (h >> _u32(16)))
    h = _u32(h * _u32(0x7FEB352D))
    return _u32(h ^ (h >> _u32(15)))


@inner
def _second_round(h):
    h = _u32(h * _u32(0x846CA68B))
    h = _u32(h ^ (h >> _u32(16)))
    h = _u32(h * _u32(0x9E3779B1))
    return _u32(h ^ (h >> _u32(15)))


@inner
def hash32(counter, key_low, key_high):
    """32 bits from a 32-bit counter and a 64-bit key. The second half of the key enters between the rounds, so that two
    rows' sequences are not shifts of one another."""
    h = _first_round(_u32(_u32(counter * _GOLDEN) ^ key_low))
    return _second_round(_u32(h + key_high))


@inner
def _radius(h):
    """sqrt(-2 ln u), u in (0, 1) from the upper 24 bits."""
    u = (_f32(np.int32(h >> _u32(8))) + _f32(0.5)) * _f32(1.0 / 16777216.0)
    # ln u = exponent ln 2 + ln m, m in [sqrt 1/2, sqrt 2): the polynomial is centred on 1 (Cephes logf).
    shifted = _u32(bits_of(u) - _u32(0x3F3504F3))
    exponent = np.int32(shifted) >> np.int32(23)
    m = float_of(_u32((shifted & _u32(0x007FFFFF)) + _u32(0x3F3504F3))) - _f32(1.0)
    p = _f32(7.0376836292e-2)
    p = p * m + _f32(-1.1514610310e-1)
    p = p * m + _f32(1.1676998740e-1)
    p = p * m + _f32(-1.2420140846e-1)
    p = p * m + _f32(1.4249322787e-1)
    p = p * m + _f32(-1.6668057665e-1)
    p = p * m + _f32(2.0000714765e-1)
    p = p * m + _f32(-2.4999993993e-1)
    p = p * m + _f32(3.3333331174e-1)
    square = m * m
    log_u = _f32(exponent) * _f32(0.69314718056) + (m - _f32(0.5) * square + square * m * p)
    return np.sqrt(max(_f32(-2.0) * log_u, _f32(0.0)))


@inner
def _angle_bits(h):
    return _second_round(_u32(h + _u32(0x5BD1E995)))


@inner
def _half_turn(bits):
    """An angle in [-pi/2, pi/2) from the upper 24 bits …"""
    return _f32(np.int32(bits) >> np.int32(8)) * _f32(1.0 / 33554432.0) * _f32(6.283185307)


@inner
def _side(bits):
    """… and ±1 from the lowest, which turns it over the whole circle."""
    return float_of(_u32(_u32((bits & _u32(1)) << _u32(31)) | _u32(0x3F800000)))


@inner
def normal_re(h):
    """The first standard normal of a hash."""
    bits = _angle_bits(h)
    x = _half_turn(bits)
    s = x * x
    p = _f32(-2.6051615e-7)
    p = p * s + _f32(2.4760495e-5)
    p = p * s + _f32(-1.3888378e-3)
    p = p * s + _f32(4.1666638e-2)
    p = p * s + _f32(-0.5)
    return _radius(h) * _side(bits) * (p * s + _f32(1.0))


@inner
def normal_im(h):
    """The second one, independent of the first."""
    bits = _angle_bits(h)
    x = _half_turn(bits)
    s = x * x
    p = _f32(-2.3889859e-8)
    p = p * s + _f32(2.7525562e-6)
    p = p * s + _f32(-1.9840874e-4)
    p = p * s + _f32(8.3333310e-3)
    p = p * s + _f32(-1.6666667e-1)
    return _radius(h) * _side(bits) * (x + x * s * p)


@inner
def row_keys(seed, serial, count, low, high):
    """A voice's 64-bit keys, row by row, from the seed and the note's serial number (both 64 bits)."""
    seed_low, seed_high = _u32(seed & 0xFFFFFFFF), _u32((seed >> 32) & 0xFFFFFFFF)
    serial_low, serial_high = _u32(serial & 0xFFFFFFFF), _u32((serial >> 32) & 0xFFFFFFFF)
    a = hash32(serial_low, seed_low, seed_high)
    b = hash32(_u32(serial_high + _u32(0x85EBCA6B)), _u32(a ^ seed_high), _u32(serial_low + seed_low))
    for k in range(U(count)):
        low[k] = hash32(_u32(U(2) * k), a, b)
        high[k] = hash32(_u32(U(2) * k + U(1)), b, a)


@inner
def draw_start(low, high, count, out):
    """Draw the start of `count` rows: out[part count + k], part 0, 1 (re, im)."""
    n = U(count)
    for k in range(n):
        h = hash32(START, low[k], high[k])
        out[k] = normal_re(h)
        out[n + k] = normal_im(h)


@inner
def place_re(h):
    return h >> _u32(32 - WINDOW_BITS)


@inner
def place_im(h):
    return (h >> _u32(32 - 2 * WINDOW_BITS)) & _u32(PERIOD - 1)


@inner
def draw_windows(low, high, first_sample, samples, count, at):
    """Where rows read in the table: at[(2 group + part) samples + t] for group = row // 64, the key its first row's."""
    n = U(samples)
    for group in range((U(count) + U(WINDOW_ROWS - 1)) // U(WINDOW_ROWS)):
        key_low, key_high = low[group * U(WINDOW_ROWS)], high[group * U(WINDOW_ROWS)]
        re = U(2) * group * n
        for t in range(n):
            h = hash32(_u32(_u32(first_sample) + _u32(t)), key_low, key_high)
            at[re + t] = place_re(h)
            at[re + n + t] = place_im(h)


@inner
def draw_rows(low, high, first_sample, samples, count, table, out):
    """The noise itself: out[(2t + part) count + k], t = 0…samples - 1 from `first_sample`, part 0, 1 (re, im)."""
    n, lanes = U(count), U(8)
    for first in range(U(0), n, U(WINDOW_ROWS)):
        rows = min(U(WINDOW_ROWS), n - first)
        whole = rows - rows % lanes
        for t in range(U(samples)):
            h = hash32(_u32(_u32(first_sample) + _u32(t)), low[first], high[first])
            re, im = U(place_re(h)), U(place_im(h))
            to = U(2) * t * n + first
            for k in range(U(0), whole, lanes):
                for i in range(lanes):
                    out[to + k + i] = table[re + k + i]
                for i in range(lanes):
                    out[to + n + k + i] = table[im + k + i]
            for k in range(whole, rows):
                out[to + k] = table[re + k]
                out[to + n + k] = table[im + k]


@functools.cache
def window_table() -> NDArray[np.float32]:
    """(PERIOD + 64,) normals: z, then -z, then z from the beginning, as far as a window reaches.

    The quantiles of the normal law in an order whose odd harmonics are all of one size, by going to and fro between the
    two (Schreiber and Schmitz, "Improved surrogate data for nonlinearity tests", 1996), the harmonics last.
    """
    half = PERIOD // 2
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / half) for i in range(half)])
    z = np.random.RandomState(1).permutation(quantiles)  # the one stream that numpy promises to keep
    for _ in range(8):
        z = _of_one_size(z)
        z[np.argsort(z, kind="stable")] = quantiles
    z = _of_one_size(z)
    return np.concatenate([z, -z, z[:WINDOW_ROWS]]).astype(np.float32)


def _of_one_size(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """z with the odd harmonics of (z, -z) at one magnitude: variance 1, no correlation at lags 1…z.size - 1."""
    spectrum = np.fft.rfft(np.concatenate([z, -z]))
    spectrum[1::2] /= np.abs(spectrum[1::2])
    spectrum[0::2] = 0.0
    z = np.fft.irfft(spectrum)[: z.size]
    return z / np.sqrt(np.mean(z**2))


@inner
def draw_scalar(low, high, first_sample, segments, deviation, out):
    """Draw one scalar noise from one key, times `deviation`: out[0…32 segments - 1], sixteen pairs a segment.

    `first_sample` is where a segment begins. Segments are independent of each other, so that several take hardly longer
    than one: a single one waits for the end of its own arithmetic.
    """
    half = U(SEGMENT // 2)
    key_low, key_high = low[0], high[0]
    for segment in range(U(segments)):
        at = segment * U(SEGMENT)
        counter = _u32(_u32(first_sample) + _u32(at))
        for i in range(half):
            h = hash32(_u32(counter + _u32(i)), key_low, key_high)
            out[at + i] = deviation * normal_re(h)
            out[at + half + i] = deviation * normal_im(h)
