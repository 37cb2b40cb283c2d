"""First guesses of the modes in a band: ESPRIT on several stretches of its signal, at several orders.

Roy, Kailath, ESPRIT: estimation of signal parameters via rotational invariance techniques, 1989; for damped sounds
Badeau, Richard, David, 2008. No order and no stretch is right for every band: fast modes are seen by short windows,
beats by long ones, what rings on by late ones. All go into one pool, from which modes are chosen by what they explain.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rtsynth.instrument.fitting.subband import Bands, Complex

STRETCHES = ((0.0, 0.35), (0.0, 1.2), (0.0, np.inf), (1.0, np.inf))  # seconds since the onset
ORDERS = (1, 2, 4, 5)
EDGE_MARGIN = 0.1  # of the width of a band, at either end: no mode has its frequency there
LARGEST_PENCIL = 24  # columns of the Hankel matrix


def pool(bands: Bands, signals: Complex, damping: tuple[float, float]) -> Complex:
    """Poles (B, C), 1/s, of signals (B, K), with damping (least, most) 1/s and frequencies inside the bands."""
    found = [bound(p, bands, damping) for p in _all(bands, signals)]
    if not found:  # too few samples for any pencil: the middle of the band, at two decays
        centre = np.pi * 1j * (bands.lowest + bands.highest)
        found = [centre[:, None] - np.array([3.0, 30.0])]
    return np.concatenate(found, axis=1)


def bound(poles: Complex, bands: Bands, damping: tuple[float, float]) -> Complex:
    """The nearest poles (B, P) with damping (least, most) 1/s and frequencies inside the bands.

    A mode at the edge of a band, or wider than it, is hardly seen there: two of them could cancel in the band, and be
    loud in the next one.
    """
    held = np.clip(-poles.real, damping[0], min(damping[1], np.pi * bands.rate / 2.0))
    margin = EDGE_MARGIN * bands.rate
    frequency = np.clip(
        poles.imag / (2.0 * np.pi), bands.lowest[:, None] + margin, bands.highest[:, None] - margin
    )
    return -held + 2j * np.pi * frequency


def _all(bands: Bands, signals: Complex) -> Iterator[Complex]:
    smear = 1.0 / bands.rate  # of the filter: a stretch begins after it
    for start, end in STRETCHES:
        inside = np.flatnonzero((bands.times >= start + smear) & (bands.times < end))
        if inside.size < 4:
            continue
        part = signals[:, inside[0] : inside[-1] + 1]
        pencil = min(LARGEST_PENCIL, part.shape[1] // 2)
        for z in esprit(part, [order for order in ORDERS if order < pencil], pencil):
            offset = np.angle(z) % (2.0 * np.pi) + 1j * np.log(np.maximum(np.abs(z), 1e-12))
            yield 1j * (offset.conj() * bands.rate + 2.0 * np.pi * bands.lowest[:, None])


def esprit(signals: Complex, orders: list[int], pencil: int) -> Iterator[Complex]:
    """z (B, P) of sums of P exponentials z^n through signals (B, N), for each P of `orders` < pencil."""
    rows = np.lib.stride_tricks.sliding_window_view(signals, pencil, axis=1)  # (B, N - pencil + 1, pencil)
    covariance = rows.transpose(0, 2, 1) @ rows.conj()
    _, vectors = np.linalg.eigh(covariance)
    for order in orders:
        signal = vectors[:, :, -order:]  # eigenvalues ascend
        above, below = signal[:, :-1], signal[:, 1:]
        gram = above.conj().transpose(0, 2, 1) @ above
        gram += 1e-12 * np.eye(order)
        rotation = np.linalg.solve(gram, above.conj().transpose(0, 2, 1) @ below)
        yield np.linalg.eigvals(rotation).astype(np.complex128)
