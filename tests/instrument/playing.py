"""Playing an instrument by hand, presets that are easy to measure, and how to measure them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument import Instrument
from rtsynth.instrument.preset import Envelope, Partials, Polyphony, Preset, Velocity
from rtsynth.messages import MESSAGE, Kind, message

Array = NDArray[Any]

RATE = 48000.0
LEVEL = 0.1  # amplitude of a steady note at full velocity, in each channel

# Controllers
VARIANCE, VOLUME, PAN, EXPRESSION, SUSTAIN, SOSTENUTO, SOFT, TIMBRE = 1, 7, 10, 11, 64, 66, 67, 74
SOUND_OFF, RESET_CONTROLLERS, NOTES_OFF = 120, 121, 123


def steady(
    envelope: Envelope | None = None,
    polyphony: Polyphony | None = None,
    *,
    range_db: float = 36.0,
    **partials: Any,
) -> Preset:
    """A preset whose notes are one sinusoid each that nothing damps or disturbs, LEVEL loud from sample 0."""
    layer: dict[str, Any] = {"count": 1, "t60": math.inf, "variance": 0.0, **partials}
    return Preset(
        schema=1,
        name="steady",
        title="Steady",
        gain_db=20.0 * math.log10(LEVEL),
        envelope=envelope or Envelope(attack_ms=0.0, release_ms=200.0),
        polyphony=polyphony or Polyphony(voices=32, per_key=2),
        velocity=Velocity(range_db=range_db),
        layers=(Partials(**layer),),
    )


# Instruments of `steady` that no player has any more: hundreds of tests want one, and to prepare it takes longer.
_idle: dict[Any, list[Instrument]] = {}


class Player:
    """An instrument, the messages it is still to be given, and nothing else."""

    def __init__(
        self, preset: Preset, seed: int = 1, *, sample_rate: float = RATE, real: Any = np.float32
    ) -> None:
        self._made_of = (preset, seed, sample_rate, real) if preset.name == "steady" else None
        if idle := _idle.get(self._made_of):
            self.instrument = idle.pop()
            self.instrument.reset()
        else:
            self.instrument = Instrument(preset, seed)
            self.instrument.prepare(sample_rate, real=real)
        self._real = real
        self._due = np.empty(0, MESSAGE)

    def __del__(self) -> None:
        if self._made_of:
            _idle.setdefault(self._made_of, []).append(self.instrument)

    def send(self, kind: int, number: int = 0, value: float = 0.0, channel: int = 0) -> None:
        """Due at the next sample that is played."""
        self._due = np.append(self._due, message(Kind.NOTE_OFF, 0, channel, number, value))
        self._due["kind"][-1] = kind

    def on(self, key: int, velocity: float = 1.0, channel: int = 0) -> None:
        self.send(Kind.NOTE_ON, key, velocity, channel)

    def off(self, key: int, channel: int = 0, velocity: float = 0.5) -> None:
        self.send(Kind.NOTE_OFF, key, velocity, channel)

    def control(self, controller: int, value: float, channel: int = 0) -> None:
        self.send(Kind.CONTROL, controller, value, channel)

    def bend(self, value: float, channel: int = 0) -> None:
        self.send(Kind.BEND, 0, value, channel)

    def press(self, value: float, channel: int = 0, key: int | None = None) -> None:
        """Aftertouch, 0…127, of the channel, or of a key."""
        self.send(Kind.CHANNEL_PRESSURE if key is None else Kind.KEY_PRESSURE, key or 0, value, channel)

    def tune(self, key: int, pitch: float, channel: int = 0, *, held: bool = False) -> None:
        """A key to a fractional MIDI note; with `held`, where it sounds already too."""
        self.send(Kind.TUNE, key, pitch, channel)
        self._due["option"][-1] = held

    def registered(self, msb: int, lsb: int, channel: int = 0) -> None:
        """Choose a registered parameter; 0, 0 is the range of the wheel."""
        self.control(101, msb, channel)
        self.control(100, lsb, channel)

    def enter(self, parameter: int, msb: int, lsb: int | None = None, channel: int = 0) -> None:
        """Give a registered parameter a value, then choose none."""
        self.registered(0, parameter, channel)
        self.control(6, msb, channel)
        if lsb is not None:
            self.control(38, lsb, channel)
        self.registered(127, 127, channel)

    def bend_range(self, semitones: int, cents: int = 0, channel: int = 0) -> None:
        self.enter(0, semitones, cents, channel)

    def play(self, frames: int) -> Array:
        """The next samples, (2, frames)."""
        out = np.zeros((2, frames), self._real)
        due, self._due = self._due, np.empty(0, MESSAGE)
        self.instrument.run(due, out[0], out[1])
        return out

    @property
    def active(self) -> int:
        return self.instrument.active_voices

    @property
    def counts(self) -> dict[str, int]:
        return self.instrument.counts


def frequency_of_key(key: float) -> float:
    """Equal temperament at A4 = 440 Hz."""
    return 440.0 * 2.0 ** ((key - 69.0) / 12.0)


def amplitude(signal: Array, frequency: float, sample_rate: float = RATE) -> float:
    """Of the only sinusoid, which has this frequency, in a signal (n,)."""
    return float(abs(_phasors(signal, [frequency], sample_rate)[0]))


def amplitudes(signal: Array, frequencies: list[float], sample_rate: float = RATE) -> Array:
    """Of the sinusoids of these frequencies (K,), which are all there is in a signal (n,): least squares, (K,)."""
    return np.abs(_phasors(signal, frequencies, sample_rate))


def cents_from(signal: Array, frequency: float, sample_rate: float = RATE) -> float:
    """How far the sinusoid of about this frequency is from it: the turn of its phase between first and last quarter.

    Unambiguous within ±1/(1.5 n) of the sample rate, n the length of the signal.
    """
    quarter = signal.size // 4
    first = _phasors(signal[:quarter], [frequency], sample_rate)[0]
    last = _phasors(signal[-quarter:], [frequency], sample_rate)[0]
    apart = signal.size - quarter
    turn = np.angle(last * np.exp(-2j * np.pi * frequency * apart / sample_rate) / first)
    return 1200.0 * math.log2(1.0 + turn * sample_rate / (2.0 * np.pi * apart * frequency))


def _phasors(signal: Array, frequencies: list[float], sample_rate: float) -> Array:
    angle = 2.0 * np.pi / sample_rate * np.multiply.outer(np.arange(signal.size), frequencies)
    basis = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    real, imag = np.linalg.lstsq(basis, signal.astype(float), rcond=None)[0].reshape(2, -1)
    return real + 1j * imag


def sounding(player: Player, keys: list[int], frames: int = 4800) -> list[int]:
    """Which of these keys are heard, above -60 dB of a steady note at full velocity."""
    levels = amplitudes(player.play(frames)[0], [frequency_of_key(key) for key in keys])
    return [key for key, level in zip(keys, levels, strict=True) if level > 1e-3 * LEVEL]


def sharpest_corner(signal: Array) -> float:
    """Largest second difference along time (…, n): a step of height h shows as h, a smooth sound as almost nothing."""
    return float(np.abs(np.diff(signal, 2)).max())


def in_db(ratio: float) -> float:
    return 20.0 * math.log10(ratio)
