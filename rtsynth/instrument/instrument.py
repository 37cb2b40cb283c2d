"""`Instrument`: a preset as a `Source`: its tables, its bank, its voices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rtsynth.instrument.preset import Preset
from rtsynth.source import Loop

if TYPE_CHECKING:
    from rtsynth.instrument.rows import Rows

BRIGHTNESS_DB = 4.0  # an octave above the fundamental, at either end; as in native/voice.c


class Instrument:
    """A playable preset. One seed, one take: the same messages give the same bits in every driver and block size.

    `alias` keeps partials above Nyquist, as the seed's own sampling did.
    """

    latency = 0  # samples

    def __init__(self, preset: Preset, seed: int = 1, *, alias: bool = False) -> None:
        self.preset = preset
        self.seed = seed
        self.alias = alias
        self._voices: Any = None

    def prepare(self, sample_rate: float, max_block: int = 0, real: Any = np.float32) -> None:
        """[main thread] Build the tables for a sample rate (hertz); compile the loop, or load it from the cache.

        `real` is float32 to play. With float64 only `run` can be used: it is there to prove the law.
        """
        from rtsynth.instrument import tables
        from rtsynth.instrument.stated import level_and_mix
        from rtsynth.instrument.voices import Voices, VoicesConfig, routes
        from rtsynth.sampler.table import Bank

        self.sample_rate = sample_rate
        shape, arrays = tables.build(self.preset, sample_rate, real, self.alias)
        self.bank = Bank(shape, arrays, sample_rate, self.seed, real)
        curves = np.ascontiguousarray(level_and_mix(self.preset, sample_rate))
        release = tables.release_rates(self.preset, sample_rate)
        config = VoicesConfig(
            bank=self.bank.call,
            bank_state=self.bank.address,
            segments=self.bank.state.segments.ctypes.data,
            release=release.ctypes.data,
            level=curves[0].ctypes.data,
            mix=curves[1].ctypes.data,
            attack=self.preset.envelope.attack_ms * 1e-3 * sample_rate,
            sample_rate=sample_rate,
            a4=self.preset.tuning.a4,
            vibrato_hz=self.preset.controllers.vibrato_hz,
            routes=routes(self.preset.controllers),
            curve_points=curves.shape[1],
            slots=shape.slots,
            polyphony=self.preset.polyphony.voices,
            per_key=self.preset.polyphony.per_key,
            half_pedal=self.preset.envelope.pedal == "continuous",
            wide=real is np.float64,
        )
        self._voices = Voices(config, self.bank, curves, release)

    def reset(self) -> None:
        """[main thread, not while running] Silence, controllers at their defaults, the next note is number 0."""
        self._voices.reset()

    @property
    def loop(self) -> Loop:
        """The compiled loop and its state; valid until the next `prepare`."""
        if self._voices is None:
            raise RuntimeError("prepare(sample_rate) first")
        return self._voices.loop

    def run(self, messages: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
        """The loop without an engine: `messages` (MESSAGE) are due now, then left and right (frames,) are added to."""
        self._voices.run(messages, left, right)

    @property
    def active_voices(self) -> int:
        """Voices sounding now, those fading included."""
        return self._voices.counts()["active"]

    @property
    def counts(self) -> dict[str, int]:
        """Notes started, voices active, steals, fades cut to one segment, voices stopped for not being finite."""
        return self._voices.counts()

    @property
    def tail(self) -> int:
        """Samples from the last note-off until no voice is left, at most; -1: unbounded (a living row, no damper).

        Rows that ring are counted without a damper, as under the pedal; rows that live end by it alone.
        """
        from rtsynth.instrument.passage import damper_speed
        from rtsynth.instrument.rows import GRID, longest_ring

        envelope = self.preset.envelope
        lasting = max(longest_ring(self._brightest(note)) for note in range(128))
        if not np.isfinite(lasting):
            if envelope.undamped_above < 128:
                return -1
            lasting = 2e-3 * envelope.release_ms * 2.0 ** (abs(envelope.release_slope) * 67 / 12)
            lasting /= damper_speed(0.0)
        # A segment may be half played at the note-off, and the last one is played to its end.
        return round(self.sample_rate * lasting) + 2 * GRID

    def _brightest(self, note: int) -> Rows:
        """The rows of a key as loud as the brightness control makes them."""
        from rtsynth.instrument.rows import rows_of_key

        rows = rows_of_key(self.preset, note, self.sample_rate, self.alias)
        octaves = np.log2(np.maximum(rows.frequency / self.preset.frequency(note), 1.0))
        gain = 10.0 ** (BRIGHTNESS_DB * octaves / 20.0)
        return replace(rows, left=rows.left * gain, right=rows.right * gain)

    def probe(self, index: int) -> None:
        """Replace the Gaussians of the first note: none (-2), all 0 (-1), or number `index` 1 and all others 0.

        From `sampler.table.TAKE` on they are those of its key's take, which the variance knob mixes in.

        The loop is linear in them, so its responses to unit Gaussians are a factor of its covariance: see `law`.
        """
        self.bank.record.probe = index
