"""The check that a peer renders the bank, and the verdict, each seen to fail when it should."""

from __future__ import annotations

import numpy as np
import pytest

from peers.bank import RATE, T60, Bank, Row, Samples, fidelity, ratios, verdict

FREQUENCIES = Bank(1, 24, first=60).frequencies[0]


def rung(frequencies: Samples, t60: float = T60) -> Samples:
    """0.7 s of damped sines, (N,)."""
    times = np.arange(round(0.7 * RATE)) / RATE
    return 10.0 ** (-3.0 * times / t60) * np.sin(2.0 * np.pi * times[:, None] * frequencies).sum(axis=1)


def test_the_bank_is_recognised() -> None:
    share, weakest_db = fidelity(rung(FREQUENCIES), FREQUENCIES)
    assert share == pytest.approx(1.0, abs=1e-9)
    assert weakest_db == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    "other",
    [rung(FREQUENCIES * 1.001), rung(FREQUENCIES, t60=1.0), np.tanh(rung(FREQUENCIES)), np.zeros(33600)],
    ids=["detuned", "decays faster", "distorted", "silent"],
)
def test_another_bank_is_refused(other: Samples) -> None:
    assert fidelity(other, FREQUENCIES)[0] < 0.999


def test_a_missing_mode_is_seen() -> None:
    assert fidelity(rung(FREQUENCIES[:-1]), FREQUENCIES)[1] < -60.0


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        (Row("peer", 24, 1, "", ns=0.5), 0),
        (Row("peer", 24, 1, "", ns=0.3), 6),  # ahead of one form only
        (Row("peer", 24, 1, "", problem="not installed: …"), 0),
        (Row("peer", 24, 1, "", problem="broke", failed=True), 1),
    ],
)
def test_verdict(peer: Row, code: int) -> None:
    own = [Row("rtsynth ringing", 24, 2, "", ns=0.2), Row("rtsynth innovations", 24, 2, "", ns=0.4)]
    assert verdict([*own, peer]) == code
    assert ratios([*own, peer], peer) == ([None, None] if peer.ns is None else [peer.ns / 0.2, peer.ns / 0.4])
