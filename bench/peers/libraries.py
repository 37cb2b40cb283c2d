"""The bank in this process: rtsynth itself, scipy and celerite2."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import numpy as np

from peers.bank import BLOCK, RATE, T60, Bank, Peer, Samples, frames


class Rtsynth(Peer):
    """The whole engine, as the audio thread runs it."""

    channels = 2

    def __init__(self, form: str) -> None:
        self.form = form
        self.name = f"rtsynth {form}"
        if form == "innovations":
            self.note = "exact stationary noise-driven law; envelopes, gains, limiter"
            self.explained = 0.9  # its phases wander
        else:
            self.note = "rings only; envelopes, gains, limiter"

    def build(self, bank: Bank, folder: Path) -> None:
        from rtsynth.instrument import preset

        form, life = ('form = "innovations"', 1.0) if self.form == "innovations" else ("", 0.0)
        text = f"""
            schema = 1
            name = "bench"
            title = "{self.form}"
            gain_db = -40.0
            {form}
            [polyphony]
            voices = {bank.voices}
            per_key = 1
            [[layers]]
            kind = "partials"
            count = {bank.modes}
            tilt_db = 0.0
            t60 = {T60}
            life = {life}
            """
        self.preset = preset.parse(text.encode(), "bench")

    def run(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> tuple[float, Samples]:
        from rtsynth.engine import Engine
        from rtsynth.instrument import Instrument
        from rtsynth.messages import Kind, message

        out = np.empty((frames(seconds), 2), np.float32)
        with Engine([Instrument(self.preset, seed=1)], RATE, max_block=BLOCK) as engine:
            keys = range(bank.first, bank.first + bank.voices)
            engine.send(np.concatenate([message(Kind.NOTE_ON, number=key, value=0.8) for key in keys]))
            engine.process(np.empty((BLOCK, 2), np.float32))
            start = time.process_time()
            engine.process(out)
            cpu = time.process_time() - start
            if engine.active_voices != bank.voices:
                raise RuntimeError(f"{engine.active_voices} of {bank.voices} voices were left at the end")
        return cpu, out.mean(axis=1)


class Lfilter(Peer):
    """scipy.signal.lfilter, a two-pole filter a mode, float32."""

    name = "scipy lfilter"
    note = "rings only, float32; whole length at once, no blocks, no modulation"
    share = 0.2

    def run(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> tuple[float, Samples]:
        from scipy.signal import lfilter

        radius = 10.0 ** (-3.0 / (T60 * RATE))
        angle = 2.0 * np.pi * bank.frequencies.ravel() / RATE
        poles = np.stack(
            [np.ones_like(angle), -2.0 * radius * np.cos(angle), np.full_like(angle, radius**2)], 1
        )
        poles = poles.astype(np.float32)
        strike = np.zeros(frames(seconds), np.float32)
        strike[0] = 1.0
        mix = np.zeros_like(strike)
        start = time.process_time()
        for pole in poles:
            mix += lfilter(strike[:1], pole, strike)
        return time.process_time() - start, mix


class Celerite(Peer):
    """celerite2: a draw of the sum of damped cosines, float64; the factorisation is not timed."""

    name = "celerite2 sample"
    note = "exact draw, float64, one voice; needs noise (-80 dB) to factorise, no streaming; factorisation not counted"
    install = "pip install celerite2"
    share = 0.05
    explained = 0.9
    one_voice = True

    def installed(self) -> bool:
        return importlib.util.find_spec("celerite2") is not None

    def run(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> tuple[float, Samples]:
        from celerite2 import GaussianProcess, terms

        damping = np.log(1000.0) / T60  # 1/s
        rows = [terms.ComplexTerm(a=1.0, b=0.0, c=damping, d=2.0 * np.pi * f) for f in bank.frequencies[0]]
        process = GaussianProcess(terms.TermSum(*rows))
        times = np.arange(frames(seconds)) / RATE
        process.compute(times, diag=np.full(times.size, 1e-8 * bank.modes))
        np.random.seed(1)
        start = time.process_time()
        drawn = process.sample()
        return time.process_time() - start, drawn
