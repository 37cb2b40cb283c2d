"""The loops that draw one segment of a voice: 32 samples of all its rows, in lanes (rtsynth/sampler/lanes.py).

What a row is, and why segments are whole: rtsynth/sampler/bank.py. Each loop does the multiplications that its case
cannot do without, and no others; fused multiply-adds a row and sample:

    ringing       y = Re(λ^t x) from a table of 16 powers and the states at samples 0 and 16. Lanes are samples, so no
                  sum runs across them. 2, and the gains: 2 where they stand, 4 where they move (stereo)
    mono          the gains of all rows have one course in time: it is applied to the sum, and a row costs 2
    kick          ringing rows whose states get a Gaussian at every segment's start: block noise
    noisy         x' = λ x + w, a sample at a time; lanes are rows, four samples a pass keep the states in registers.
                  States are in units of sqrt(q), so that w is a standard normal: 4, and the gains 2, or 1 mono
    innovations   x' = λ x + K e, y = Σ Re x + e: the states at samples 0, 16 and 32 with rows in the lanes, then y as
                  for ringing, and e through a filter of 16 taps: 4 a row, 16 a voice

Noise for `noisy` and `kick` comes from windows of a table of normals (rtsynth/sampler/noise.py), or from any array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import from_dtype, types

from rtsynth.sampler.compiled import callback, inner
from rtsynth.sampler.lanes import (
    add,
    count16,
    fma,
    fnma,
    load8,
    load16,
    mul,
    spread8,
    spread16,
    store,
    sub,
    total,
    whole8,
    whole16,
)
from rtsynth.sampler.noise import SEGMENT, WINDOW_ROWS, U, draw_windows

ROW_LANES = 8  # rows of a group are padded to a multiple; padding rows are silent
HALF = SEGMENT // 2  # samples; powers kept of each λ

_S, _H, _L, _G = U(SEGMENT), U(HALF), U(ROW_LANES), U(WINDOW_ROWS)

_COUNT, _WORDS = types.int64, types.CPointer(types.uint32)


def _pointer(real: Any) -> types.CPointer:
    return types.CPointer(from_dtype(np.dtype(real)))


def windows_loop(real: Any) -> Any:
    @callback(types.void(_WORDS, _WORDS, types.int64, _COUNT, _COUNT, _WORDS))
    def windows(low, high, first_sample, samples, count, at):
        """Where `count` rows read their noise: at (groups of 64 rows, 2, samples), see `noise.draw_windows`."""
        draw_windows(low, high, first_sample, samples, count, at)

    return windows


# ---- ringing ----


@inner
def _rotate(re, im, a, b, u, v):
    """λ x + w of lanes."""
    return fma(re, a, fnma(im, b, u)), fma(im, a, fma(re, b, v))


@inner
def _turn(re, im, a, b):
    """λ x of lanes."""
    return fnma(im, b, mul(re, a)), fma(im, a, mul(re, b))


@inner
def _halves(half, x, middle, n, count):
    """States at samples 0 and 16 into middle (4, rows): re, im, re, im; x on to 32."""
    for k in range(U(0), count, _L):
        re, im = load8(half, k), load8(half, n + k)
        a, b = load8(x, k), load8(x, n + k)
        store(middle, k, a)
        store(middle, n + k, b)
        a, b = _turn(re, im, a, b)
        store(middle, U(2) * n + k, a)
        store(middle, U(3) * n + k, b)
        a, b = _turn(re, im, a, b)
        store(x, k, a)
        store(x, n + k, b)


@inner
def _scaled_halves(half, gains, x, middle, n, count):
    """The same, times the rows' gains in `middle`."""
    for k in range(U(0), count, _L):
        re, im, gain = load8(half, k), load8(half, n + k), load8(gains, k)
        a, b = load8(x, k), load8(x, n + k)
        store(middle, k, mul(gain, a))
        store(middle, n + k, mul(gain, b))
        a, b = _turn(re, im, a, b)
        store(middle, U(2) * n + k, mul(gain, a))
        store(middle, U(3) * n + k, mul(gain, b))
        a, b = _turn(re, im, a, b)
        store(x, k, a)
        store(x, n + k, b)


@inner
def _path(powers, k, re, im):
    """Re(λ^t x) of row k at 16 samples in the lanes, x = (re, im)."""
    i = U(2) * _H * k
    return fnma(load16(powers, i + _H), spread16(im), mul(load16(powers, i), spread16(re)))


@inner
def _steady_rows(powers, middle, gains, y, n, count):
    left0, left1 = load16(y, U(0)), load16(y, _H)
    right0, right1 = load16(y, _S), load16(y, _S + _H)
    for k in range(count):
        u0 = _path(powers, k, middle[k], middle[n + k])
        u1 = _path(powers, k, middle[U(2) * n + k], middle[U(3) * n + k])
        left, right = spread16(gains[k]), spread16(gains[n + k])
        left0, left1 = fma(left, u0, left0), fma(left, u1, left1)
        right0, right1 = fma(right, u0, right0), fma(right, u1, right1)
    store(y, U(0), left0)
    store(y, _H, left1)
    store(y, _S, right0)
    store(y, _S + _H, right1)


@inner
def _moving_rows(powers, middle, gains, y, n, count):
    """Σ (g + slope t) u = Σ g u + t Σ slope u: the second sum waits until all rows are in it."""
    left0, left1 = load16(y, U(0)), load16(y, _H)
    right0, right1 = load16(y, _S), load16(y, _S + _H)
    left2 = left3 = right2 = right3 = whole16(y, U(0))
    for k in range(count):
        u0 = _path(powers, k, middle[k], middle[n + k])
        u1 = _path(powers, k, middle[U(2) * n + k], middle[U(3) * n + k])
        left, right = spread16(gains[k]), spread16(gains[n + k])
        left0, left1 = fma(left, u0, left0), fma(left, u1, left1)
        right0, right1 = fma(right, u0, right0), fma(right, u1, right1)
        left, right = spread16(gains[U(2) * n + k]), spread16(gains[U(3) * n + k])
        left2, left3 = fma(left, u0, left2), fma(left, u1, left3)
        right2, right3 = fma(right, u0, right2), fma(right, u1, right3)
    early = count16(y)
    late = add(early, whole16(y, _H))
    store(y, U(0), fma(early, left2, left0))
    store(y, _H, fma(late, left3, left1))
    store(y, _S, fma(early, right2, right0))
    store(y, _S + _H, fma(late, right3, right1))


def ringing_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, p, p, p, p, types.int64, _COUNT, _COUNT))
    def ringing(powers, half, x, middle, gains, y, moving, rows, count):
        """Add `count` rows to y (2, 32), left and right, and step their states by λ^32.

        powers (rows, 2, 16): λ^t, re and im; half (2, rows): λ^16; x (2, rows): re and im; gains (4, rows): left,
        right and their slopes a sample, read only where `moving`; middle (4, rows) is scratch. States are stepped by
        eights: rows up to the next multiple of 8 are stepped too.
        """
        n, m = U(rows), U(count)
        _halves(half, x, middle, n, m)
        if moving:
            _moving_rows(powers, middle, gains, y, n, m)
        else:
            _steady_rows(powers, middle, gains, y, n, m)

    return ringing


@inner
def _mono_rows(powers, middle, y, n, count):
    """Two chains of sums a half: one alone would wait for its own additions."""
    re0, re1 = load16(y, U(0)), load16(y, _H)
    im0 = im1 = whole16(y, U(0))
    for k in range(count):
        i = U(2) * _H * k
        re, im = load16(powers, i), load16(powers, i + _H)
        re0, im0 = fma(re, spread16(middle[k]), re0), fma(im, spread16(middle[n + k]), im0)
        re1 = fma(re, spread16(middle[U(2) * n + k]), re1)
        im1 = fma(im, spread16(middle[U(3) * n + k]), im1)
    store(y, U(0), sub(re0, im0))
    store(y, _H, sub(re1, im1))


def ringing_mono_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, p, p, p, p, _COUNT, _COUNT))
    def ringing_mono(powers, half, x, middle, gains, y, rows, count):
        """The same of one channel, y (32,), with gains (rows,) that stand still."""
        n, m = U(rows), U(count)
        _scaled_halves(half, gains, x, middle, n, m)
        _mono_rows(powers, middle, y, n, m)

    return ringing_mono


def kick_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, _WORDS, types.int64, p, _COUNT, _COUNT))
    def kick(scale, noise, at, t, x, rows, count):
        """x += scale (z + i z'), x (2, rows), scale (count,), z as `noisy` reads it at t; count is a multiple of 8."""
        n, m = U(rows), U(count)
        for first in range(U(0), m, _G):
            i = U(2) * _S * (first // _G) + U(t)
            re, im = U(at[i]), U(at[i + _S])
            for k in range(first, min(first + _G, m), _L):
                q = load8(scale, k)
                store(x, k, fma(q, load8(noise, re + k - first), load8(x, k)))
                store(x, n + k, fma(q, load8(noise, im + k - first), load8(x, n + k)))

    return kick


# ---- noisy ----


def _noisy_rows(stereo: bool, moving: bool) -> Any:
    """The one loop there is for noise, with what its case needs of gains."""

    @inner
    def heard(left, right, a, into_left, into_right):
        return fma(left, a, into_left), fma(right, a, into_right) if stereo else into_right

    @inner
    def noisy_rows(step, noise, at, x, gains, y, n, first, last):
        zero = whole8(y, U(0))
        for t in range(U(0), _S, U(4)):
            l0 = l1 = l2 = l3 = r0 = r1 = r2 = r3 = zero
            w = U(2) * _S * (first // _G) + t
            u0, u1, u2, u3 = U(at[w]), U(at[w + U(1)]), U(at[w + U(2)]), U(at[w + U(3)])
            w += _S
            v0, v1, v2, v3 = U(at[w]), U(at[w + U(1)]), U(at[w + U(2)]), U(at[w + U(3)])
            since = whole8(y, t)
            for k in range(first, last, _L):
                i = k - first
                re, im = load8(step, k), load8(step, n + k)
                a, b = load8(x, k), load8(x, n + k)
                left = load8(gains, k)
                right = load8(gains, n + k) if stereo else left
                if moving:
                    left_slope, right_slope = load8(gains, U(2) * n + k), load8(gains, U(3) * n + k)
                    left, right = fma(since, left_slope, left), fma(since, right_slope, right)
                l0, r0 = heard(left, right, a, l0, r0)
                a, b = _rotate(re, im, a, b, load8(noise, u0 + i), load8(noise, v0 + i))
                if moving:
                    left, right = add(left, left_slope), add(right, right_slope)
                l1, r1 = heard(left, right, a, l1, r1)
                a, b = _rotate(re, im, a, b, load8(noise, u1 + i), load8(noise, v1 + i))
                if moving:
                    left, right = add(left, left_slope), add(right, right_slope)
                l2, r2 = heard(left, right, a, l2, r2)
                a, b = _rotate(re, im, a, b, load8(noise, u2 + i), load8(noise, v2 + i))
                if moving:
                    left, right = add(left, left_slope), add(right, right_slope)
                l3, r3 = heard(left, right, a, l3, r3)
                a, b = _rotate(re, im, a, b, load8(noise, u3 + i), load8(noise, v3 + i))
                store(x, k, a)
                store(x, n + k, b)
            y[t] += total(l0)
            y[t + U(1)] += total(l1)
            y[t + U(2)] += total(l2)
            y[t + U(3)] += total(l3)
            if stereo:
                y[t + _S] += total(r0)
                y[t + _S + U(1)] += total(r1)
                y[t + _S + U(2)] += total(r2)
                y[t + _S + U(3)] += total(r3)

    return noisy_rows


_noisy_steady = _noisy_rows(stereo=True, moving=False)
_noisy_moving = _noisy_rows(stereo=True, moving=True)
_noisy_mono = _noisy_rows(stereo=False, moving=False)


def noisy_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, _WORDS, p, p, p, types.int64, _COUNT, _COUNT))
    def noisy(step, noise, at, x, gains, y, moving, rows, count):
        """Run `count` rows (a multiple of 8) through a segment, add them to y (2, 32) and leave their states.

        step (2, rows): λ; x (2, rows), in units of each row's sqrt(q); gains as in `ringing`. Row k of group g = k//64
        reads standard normals at noise[at[g, part, t] + k % 64]: at (groups, 2, 32), part 0, 1 for re, im.
        """
        n, m = U(rows), U(count)
        for first in range(U(0), m, _G):
            last = min(first + _G, m)
            if moving:
                _noisy_moving(step, noise, at, x, gains, y, n, first, last)
            else:
                _noisy_steady(step, noise, at, x, gains, y, n, first, last)

    return noisy


def noisy_mono_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, _WORDS, p, p, p, _COUNT, _COUNT))
    def noisy_mono(step, noise, at, x, gains, y, rows, count):
        """The same of one channel, y (32,), with gains (rows,) that stand still."""
        n, m = U(rows), U(count)
        for first in range(U(0), m, _G):
            _noisy_mono(step, noise, at, x, gains, y, n, first, min(first + _G, m))

    return noisy_mono


# ---- innovations ----


def _driven_rows(load: Any, spread: Any, whole: Any) -> Any:
    @inner
    def driven_rows(turned, half, gain, e, x, middle, n, k):
        """Rows k…: u = Σ λ^(15-s) e[s] over each half, then x' = λ^16 x + K u twice; states before each in middle."""
        u = v = later_u = later_v = whole(x, U(0))
        for s in range(_H):
            i = U(2) * s * n + k
            re, im, early, late = load(turned, i), load(turned, i + n), spread(e[s]), spread(e[_H + s])
            u, v = fma(re, early, u), fma(im, early, v)
            later_u, later_v = fma(re, late, later_u), fma(im, late, later_v)
        re, im, gain_re, gain_im = load(half, k), load(half, n + k), load(gain, k), load(gain, n + k)
        a, b = load(x, k), load(x, n + k)
        store(middle, k, a)
        store(middle, n + k, b)
        a, b = _rotate(re, im, a, b, *_turn(gain_re, gain_im, u, v))
        store(middle, U(2) * n + k, a)
        store(middle, U(3) * n + k, b)
        a, b = _rotate(re, im, a, b, *_turn(gain_re, gain_im, later_u, later_v))
        store(x, k, a)
        store(x, n + k, b)

    return driven_rows


_eight_rows = _driven_rows(load8, spread8, whole8)
_sixteen_rows = _driven_rows(load16, spread16, whole16)


@inner
def _filtered(response, e, y):
    """e through the taps response[16…31], each half of the segment for itself: its past is in the states."""
    even0, even1 = load16(y, U(0)), load16(y, _H)
    odd0 = odd1 = whole16(y, U(0))
    for s in range(U(0), _H, U(2)):
        taps = load16(response, _H - s)
        even0, even1 = fma(taps, spread16(e[s]), even0), fma(taps, spread16(e[_H + s]), even1)
        taps = load16(response, _H - s - U(1))
        odd0 = fma(taps, spread16(e[s + U(1)]), odd0)
        odd1 = fma(taps, spread16(e[_H + s + U(1)]), odd1)
    store(y, U(0), add(even0, odd0))
    store(y, _H, add(even1, odd1))


def innovations_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, p, p, p, p, p, p, p, _COUNT, _COUNT))
    def innovations(powers, turned, half, gain, response, e, x, middle, y, rows, count):
        """Add a segment of the innovations form to y (32,) and step the states; `rows` is a multiple of 8.

        powers, half, x, middle as in `ringing`; turned (16, 2, rows): λ^(15-s), s = 0…15; gain (2, rows): K; response
        (32,): 16 zeros, then that of y to e within half a segment, starting with 1; e (32,): the innovations.
        """
        n, m = U(rows), U(count)
        whole = m & ~U(15)
        for k in range(U(0), whole, U(16)):
            _sixteen_rows(turned, half, gain, e, x, middle, n, k)
        for k in range(whole, m, _L):
            _eight_rows(turned, half, gain, e, x, middle, n, k)
        _filtered(response, e, y)
        _mono_rows(powers, middle, y, n, m)

    return innovations
