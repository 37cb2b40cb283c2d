"""Bands of noise whose frequency, width and gain glide: ladders of rotations that stay stationary while they move.

A row is a band: `order` sections, each a damped rotation, in a chain that preserves power. With λ = r e^{iθ},
s = sqrt(1 - r²), and w complex white noise of variance 1 in each part, section j does

    x_j' = λ x_j + s u_j,    u_{j+1} = e^{iθ} s x_j - r u_j,    u_0 = w:

a unitary map of (x_j, u_j). So if all x_j are independent with variance 1 in each part they remain so, whatever λ does
from sample to sample: nothing has to be corrected when a band glides, and the variance of y = Σ_j g_j Re x_j is
Σ_j g_j² at every sample. For order 1 this is the bank's own q = s²(1 - |λ|²). Weights g_j ∝ C(order - 1, j) r^j give
1 / (1 - λ/z)^order: the gammatone filter driven by noise, whose kernel is a Matern-(order - 1/2) envelope on a cosine.

Laguerre ladder: Heuberger, Van den Hof and Wahlberg, Modelling and Identification with Rational Orthogonal Basis
Functions, 2005, chapter 2. Gammatone: Patterson et al., 1987. The loops work a segment of 32 samples at a time, as the
bank does (rtsynth/sampler/bank.py: why bare pointers and unsigned indices).

Rows lie in groups of 16 lanes, all of a group's numbers together: with fixed distances between them LLVM needs five
comparisons to know that nothing overlaps, and vectorises; with whole rows one after the other it needs too many, and
did not. R rows are G = R / 16 groups; P is the order.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numba import from_dtype, types

from rtsynth.sampler.bank import NOISY_LANES
from rtsynth.sampler.compiled import callback
from rtsynth.sampler.noise import SEGMENT, U

LANES = NOISY_LANES  # rows are padded to a multiple; padding rows have gain 0
HIGHEST_ORDER = 4
MOTION = ("re", "im", "drive", "pass_re", "pass_im", "radius")  # λ; s; e^{iθ} s; r

_S, _L = U(SEGMENT), U(LANES)


class GlideLoops(NamedTuple):
    """The compiled loops, in the order of `rt_bands_loops` in native/bands.h."""

    turn: Any
    aim: Any
    ladder: Any


@functools.cache
def glide_loops(real: Any = np.float32) -> GlideLoops:
    """Compile the loops for `real` (numpy.float32 or numpy.float64), or load them from the cache."""
    return GlideLoops(_turn_loop(real), _aim_loop(real), _ladder_loop(real))


def _pointer(real: Any) -> types.CPointer:
    return types.CPointer(from_dtype(np.dtype(real)))


def _turn_loop(real: Any) -> Any:
    p, count_type = _pointer(real), types.int64

    @callback(types.void(p, p, p, p, count_type, count_type))
    def turn(cycles, damping, motion, weights, rows, order):
        """Set where `rows` bands are: cycles (R,) a sample, damping (R,) nepers a sample, both finite, damping > 0.

        Writes motion (G, 6, 16), named in MOTION, and weights (G, P, 16), whose squares add up to 1 in each row.
        """
        sections = U(order)
        for k in range(U(rows)):
            group, lane = k // _L, k % _L
            m, at = group * U(len(MOTION)) * _L + lane, group * sections * _L + lane
            turns = float(cycles[k]) - math.floor(float(cycles[k]))
            cos, sin = math.cos(2.0 * math.pi * turns), math.sin(2.0 * math.pi * turns)
            radius = math.exp(-float(damping[k]))
            drive = math.sqrt(-math.expm1(-2.0 * float(damping[k])))
            motion[m], motion[m + _L] = real(radius * cos), real(radius * sin)
            motion[m + U(2) * _L] = real(drive)
            motion[m + U(3) * _L], motion[m + U(4) * _L] = real(drive * cos), real(drive * sin)
            motion[m + U(5) * _L] = real(radius)
            weight, power = 1.0, 0.0
            for j in range(sections):
                power += weight * weight
                weight *= radius * (float(sections) - float(j) - 1.0) / (float(j) + 1.0)
            weight = 1.0 / math.sqrt(power)
            for j in range(sections):
                weights[at + j * _L] = real(weight)
                weight *= radius * (float(sections) - float(j) - 1.0) / (float(j) + 1.0)

    return turn


def _aim_loop(real: Any) -> Any:
    p, count_type = _pointer(real), types.int64

    @callback(types.void(p, p, p, count_type, count_type))
    def aim(goal, weights, gains, rows, order):
        """Point gains (G, P, 2, 16), values and slopes a sample, at goal (R,), spread over sections by `weights`."""
        sections = U(order)
        for group in range(U(rows) // _L):
            for j in range(sections):
                at = (group * sections + j) * _L
                for i in range(_L):
                    to = weights[at + i] * goal[group * _L + i]
                    gains[U(2) * at + _L + i] = (to - gains[U(2) * at + i]) * real(1.0 / SEGMENT)

    return aim


def _ladder_loop(real: Any) -> Any:
    p, count_type = _pointer(real), types.int64

    @callback(types.void(p, p, p, p, p, count_type, count_type))
    def ladder(motion, noise, x, gains, y, rows, order):
        """Run `rows` bands (a multiple of 16) through a segment, add them to y (32,), leave states and gains behind.

        motion (G, 6, 16); noise (G, 32, 2, 16): standard normals, re and im, used up; x (G, P, 2, 16): re and im;
        gains (G, P, 2, 16) as `aim` left them.
        """
        sections = U(order)
        for group in range(U(rows) // _L):
            m, first = group * U(len(MOTION)) * _L, group * sections * U(2) * _L
            for t in range(_S):
                since, total = real(t), real(0)
                w = (group * _S + t) * U(2) * _L
                for j in range(sections):
                    at = first + j * U(2) * _L
                    for i in range(_L):
                        a, b = x[at + i], x[at + _L + i]
                        u, v = noise[w + i], noise[w + _L + i]
                        re, im, drive = motion[m + i], motion[m + _L + i], motion[m + U(2) * _L + i]
                        pass_re, pass_im = motion[m + U(3) * _L + i], motion[m + U(4) * _L + i]
                        radius = motion[m + U(5) * _L + i]
                        total += (gains[at + i] + gains[at + _L + i] * since) * a
                        x[at + i] = re * a - im * b + drive * u
                        x[at + _L + i] = im * a + re * b + drive * v
                        noise[w + i] = pass_re * a - pass_im * b - radius * u
                        noise[w + _L + i] = pass_im * a + pass_re * b - radius * v
                y[t] += total
        for k in range(U(0), U(2) * U(rows) * sections, U(2) * _L):
            for i in range(_L):
                gains[k + i] += real(SEGMENT) * gains[k + _L + i]

    return ladder
