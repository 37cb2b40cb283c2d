"""The bank: rows of damped rotations, rung at their start and kept alive by noise, drawn a segment at a time.

One row is x[n+1] = λ x[n] + w[n], y += g[n] Re x[n], with λ = exp(-γ/rate + 2πi f/rate), x[0] ~ N(mean, spread² I),
w ~ N(0, q I). Whatever sounds is rows of one table (docs/decisions.md, "The bank"):

* undamped rows (γ = 0, q = 0): sinusoids; and ringing rows (q = 0): a struck string. Neither needs a recursion at the
  sample rate: a segment is Re(λ^t x), t = 0…31, from a table of powers, and the state steps by λ^32;
* noisy rows (q > 0): the recursion itself, rows across lanes, one complex Gaussian a row and sample;
* the innovations form: all rows stationary and driven by ONE Gaussian a sample, x' = λ x + K e, y = Σ Re x + e (Wold's
  form). Within a segment y is the powers times x plus e through a filter of 32 taps.

A segment is SEGMENT samples on the voice's own grid, always computed whole; the gains of a row move in straight lines
from its start to its end. Blocks only read from it, which is why their size cannot change a bit of the output.

native/bank.c keeps the table and calls these loops by address: `loops` compiles them, for float32 to play and for
float64 to prove the law. They work on bare pointers and unsigned indices: with arrays and signed ones LLVM guards every
access against wrap-around, and the loops run four times slower (measured).
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import from_dtype, types

from rtsynth.sampler.compiled import callback
from rtsynth.sampler.noise import SEGMENT, U, draw_rows, draw_scalar, draw_start, row_keys, window_table

# Rows of a group are padded so that the unrolled loops have no remainder; padding rows are silent.
RINGING_UNROLL = 4
NOISY_LANES = 16

_S = U(SEGMENT)


class Loops(NamedTuple):
    """The compiled loops, in the order of `rt_loops` in native/bank.h; `.address` of each is what C calls."""

    start: Any
    draw: Any
    draw_scalar: Any
    ringing: Any
    noisy: Any
    innovations: Any


@functools.cache
def loops(real: Any = np.float32) -> Loops:
    """Compile the loops for `real` (numpy.float32 or numpy.float64), or load them from the cache."""
    return Loops(
        _start_loop(real),
        _draw_loop(real),
        _draw_scalar_loop(real),
        _ringing_loop(real),
        _noisy_loop(real),
        _innovations_loop(real),
    )


_COUNT, _KEYS = types.int64, types.CPointer(types.uint32)


def _pointer(real: Any) -> types.CPointer:
    return types.CPointer(from_dtype(np.dtype(real)))


def _start_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(types.int64, types.int64, _COUNT, _KEYS, _KEYS, p))
    def start(seed, serial, count, low, high, normals):
        """Write a note's keys (count,) and draw its start: normals (2, count), re then im."""
        row_keys(seed, serial, count, low, high)
        draw_start(low, high, count, normals)

    return start


def _draw_loop(real: Any) -> Any:
    p, table = _pointer(real), window_table()

    @callback(types.void(_KEYS, _KEYS, types.int64, _COUNT, _COUNT, p))
    def draw(low, high, first_sample, samples, count, noise):
        """noise (samples, 2, count): standard normals of these samples and rows, from the table of windows."""
        draw_rows(low, high, first_sample, samples, count, table, noise)

    return draw


def _draw_scalar_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(_KEYS, _KEYS, types.int64, _COUNT, types.float64, p))
    def draw_one(low, high, first_sample, segments, deviation, noise):
        """noise (segments, 32): the innovations of so many segments."""
        draw_scalar(low, high, first_sample, segments, real(deviation), noise)

    return draw_one


def _ringing_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, p, p, p, _COUNT, _COUNT))
    def ringing(powers, advance, x, gains, y, rows, count):
        """Add `count` rows (a multiple of 4) to y (2, 32), left and right, and step their states by λ^32.

        powers (count, 2, 32): λ^t; advance (2, rows): λ^32, x (2, rows): re and im; gains (4, rows): left, right and
        their slopes a sample.
        """
        n = U(rows)
        right, left_slope, right_slope = n, U(2) * n, U(3) * n
        for k in range(U(0), U(count), U(4)):
            k1, k2, k3 = k + U(1), k + U(2), k + U(3)
            a0, a1, a2, a3 = x[k], x[k1], x[k2], x[k3]
            b0, b1, b2, b3 = x[n + k], x[n + k1], x[n + k2], x[n + k3]
            l0, l1, l2, l3 = gains[k], gains[k1], gains[k2], gains[k3]
            r0, r1, r2, r3 = gains[right + k], gains[right + k1], gains[right + k2], gains[right + k3]
            dl0, dl1 = gains[left_slope + k], gains[left_slope + k1]
            dl2, dl3 = gains[left_slope + k2], gains[left_slope + k3]
            dr0, dr1 = gains[right_slope + k], gains[right_slope + k1]
            dr2, dr3 = gains[right_slope + k2], gains[right_slope + k3]
            at = k * (U(2) * _S)
            for t in range(_S):
                i, s = at + t, real(t)
                u0 = powers[i] * a0 - powers[i + _S] * b0
                u1 = powers[i + U(2) * _S] * a1 - powers[i + U(3) * _S] * b1
                u2 = powers[i + U(4) * _S] * a2 - powers[i + U(5) * _S] * b2
                u3 = powers[i + U(6) * _S] * a3 - powers[i + U(7) * _S] * b3
                y[t] += (l0 + dl0 * s) * u0 + (l1 + dl1 * s) * u1 + (l2 + dl2 * s) * u2 + (l3 + dl3 * s) * u3
                y[t + _S] += (
                    (r0 + dr0 * s) * u0 + (r1 + dr1 * s) * u1 + (r2 + dr2 * s) * u2 + (r3 + dr3 * s) * u3
                )
        for k in range(U(count)):
            a, b = x[k], x[n + k]
            x[k] = advance[k] * a - advance[n + k] * b
            x[n + k] = advance[n + k] * a + advance[k] * b

    return ringing


def _noisy_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, p, p, p, p, _COUNT, _COUNT))
    def noisy(step, scale, noise, x, gains, y, rows, count):
        """Run `count` rows (a multiple of 16) through a segment, add them to y (2, 32) and leave their states behind.

        step (2, rows): λ; scale (count,): sqrt(q); noise (32, 2, count): standard normals; x, gains as in `ringing`.
        Four samples a pass keep the states in registers.
        """
        n, m = U(rows), U(count)
        right, left_slope, right_slope = n, U(2) * n, U(3) * n
        for t in range(U(0), _S, U(4)):
            s0, s1, s2, s3 = real(t), real(t + U(1)), real(t + U(2)), real(t + U(3))
            l0 = l1 = l2 = l3 = real(0)
            r0 = r1 = r2 = r3 = real(0)
            w = U(2) * t * m
            for k in range(m):
                re, im, q = step[k], step[n + k], scale[k]
                gl, gr, dl, dr = gains[k], gains[right + k], gains[left_slope + k], gains[right_slope + k]
                a, b = x[k], x[n + k]
                i = w + k
                l0 += (gl + dl * s0) * a
                r0 += (gr + dr * s0) * a
                a, b = re * a - im * b + q * noise[i], im * a + re * b + q * noise[i + m]
                l1 += (gl + dl * s1) * a
                r1 += (gr + dr * s1) * a
                a, b = re * a - im * b + q * noise[i + U(2) * m], im * a + re * b + q * noise[i + U(3) * m]
                l2 += (gl + dl * s2) * a
                r2 += (gr + dr * s2) * a
                a, b = re * a - im * b + q * noise[i + U(4) * m], im * a + re * b + q * noise[i + U(5) * m]
                l3 += (gl + dl * s3) * a
                r3 += (gr + dr * s3) * a
                a, b = re * a - im * b + q * noise[i + U(6) * m], im * a + re * b + q * noise[i + U(7) * m]
                x[k] = a
                x[n + k] = b
            y[t] += l0
            y[t + U(1)] += l1
            y[t + U(2)] += l2
            y[t + U(3)] += l3
            y[t + _S] += r0
            y[t + _S + U(1)] += r1
            y[t + _S + U(2)] += r2
            y[t + _S + U(3)] += r3

    return noisy


def _innovations_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(p, p, p, p, p, p, p, _COUNT, _COUNT))
    def innovations(powers, advance, gain, response, e, x, y, rows, count):
        """Add a segment of the innovations form to y (32,) and step the states: `count` rows, a multiple of 4.

        powers, advance, x as in `ringing`; gain (2, rows): K; response (32,): of y to e within a segment, starting with
        1; e (96,): 32 zeros, the segment's innovations, the same backwards. The states' step sums λ^(31-t) e[t]: the
        same powers against the innovations backwards.
        """
        n = U(rows)
        for k in range(U(0), U(count), U(4)):
            k1, k2, k3 = k + U(1), k + U(2), k + U(3)
            a0, a1, a2, a3 = x[k], x[k1], x[k2], x[k3]
            b0, b1, b2, b3 = x[n + k], x[n + k1], x[n + k2], x[n + k3]
            u0 = u1 = u2 = u3 = real(0)
            v0 = v1 = v2 = v3 = real(0)
            at = k * (U(2) * _S)
            for t in range(_S):
                i = at + t
                back = e[U(2) * _S + t]
                p0, q0 = powers[i], powers[i + _S]
                p1, q1 = powers[i + U(2) * _S], powers[i + U(3) * _S]
                p2, q2 = powers[i + U(4) * _S], powers[i + U(5) * _S]
                p3, q3 = powers[i + U(6) * _S], powers[i + U(7) * _S]
                y[t] += p0 * a0 - q0 * b0 + p1 * a1 - q1 * b1 + p2 * a2 - q2 * b2 + p3 * a3 - q3 * b3
                u0 += p0 * back
                v0 += q0 * back
                u1 += p1 * back
                v1 += q1 * back
                u2 += p2 * back
                v2 += q2 * back
                u3 += p3 * back
                v3 += q3 * back
            x[k] = advance[k] * a0 - advance[n + k] * b0 + gain[k] * u0 - gain[n + k] * v0
            x[n + k] = advance[n + k] * a0 + advance[k] * b0 + gain[n + k] * u0 + gain[k] * v0
            x[k1] = advance[k1] * a1 - advance[n + k1] * b1 + gain[k1] * u1 - gain[n + k1] * v1
            x[n + k1] = advance[n + k1] * a1 + advance[k1] * b1 + gain[n + k1] * u1 + gain[k1] * v1
            x[k2] = advance[k2] * a2 - advance[n + k2] * b2 + gain[k2] * u2 - gain[n + k2] * v2
            x[n + k2] = advance[n + k2] * a2 + advance[k2] * b2 + gain[n + k2] * u2 + gain[k2] * v2
            x[k3] = advance[k3] * a3 - advance[n + k3] * b3 + gain[k3] * u3 - gain[n + k3] * v3
            x[n + k3] = advance[n + k3] * a3 + advance[k3] * b3 + gain[n + k3] * u3 + gain[k3] * v3
        for m in range(U(0), _S, U(8)):
            h0, h1, h2, h3 = response[m], response[m + U(1)], response[m + U(2)], response[m + U(3)]
            h4, h5, h6, h7 = response[m + U(4)], response[m + U(5)], response[m + U(6)], response[m + U(7)]
            for t in range(_S):
                i = _S - m + t
                y[t] += (
                    h0 * e[i]
                    + h1 * e[i - U(1)]
                    + h2 * e[i - U(2)]
                    + h3 * e[i - U(3)]
                    + h4 * e[i - U(4)]
                    + h5 * e[i - U(5)]
                    + h6 * e[i - U(6)]
                    + h7 * e[i - U(7)]
                )

    return innovations
