"""The codec's event: when, how loud, and 32 numbers that say what. What they do to the bank's rows is its kind.

Time runs in control steps of 4 ms (`CONTROL`; 64 samples at 16 kHz), counted from the start of the sound; a decoder at
another rate puts step k at sample k · 0.004 · rate. Levels are natural logarithms of amplitude, full scale 0.

RETARGET: the voice moves in a straight line from where it is to a target, then holds; its phase is never reset.
    vector[0]      ramp, control steps, 1 or more, not necessarily whole
    vector[1]      ln f0, f0 in hertz
    vector[2:26]   shape: ln amplitude of the envelope at `KNOTS`, less its mean, which is the gain
    vector[26:31]  logit of the noise's share of the power at `SHARE_KNOTS`
    vector[31]     0
  `trajectory` is the specification of the movement. Frequencies between knots: straight lines over mel for the ln
  amplitude, over hertz for the share (not its logit); beyond the outer knots both stay.

STRIKE: a group of damped modes and a burst of noise that start at `time`; an older group of the voice rings on.
    vector[0:24]   8 modes × (ln hertz, ln t60 in seconds, ln amplitude re gain); absent: amplitude `ABSENT`;
                   mode m starts as sin(2π f t + m π/4): its slot is its phase
    vector[24:29]  burst: ln rms re gain, ln centre hertz, ln bandwidth hertz, ln t60 in seconds, attack in ms
    vector[29:31]  damper: seconds after `time` at which it falls, 0: never; ln t60 in seconds under it, which all of
                   the strike decays by besides, from the nearest end of a 32-sample segment of the strike's own on
    vector[31]     0
  One note of more than 8 modes is several strikes of one time, in voices 0, 1, 2, …

CODE: 32 numbers that only a learned generator understands; `gain` is ln of its switch's amplitude.

Many events are a structured array `Events` (N,) of dtype `EVENT`, ordered by time; the fields are those of `Event`, and
the layout is that of `rt_event` in C: 144 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.errors import InputError

Array = NDArray[np.float64]
Events = NDArray[np.void]  # (N,) of dtype EVENT

CONTROL = 0.004  # seconds a control step
RATE = 16000  # hertz: what speech is analysed at
DIMENSIONS = 32
EVENT = np.dtype(
    [("time", "<i8"), ("kind", "u1"), ("voice", "u1"), ("gain", "<f4"), ("vector", "<f4", (DIMENSIONS,))],
    align=True,
)

RAMP, LN_F0, SHAPE, SHARES = 0, 1, slice(2, 26), slice(26, 31)  # of a retarget's vector
GAIN = 0  # of a state: the place of the ramp
MODES, BURST, DAMPED_AFTER, DAMPED_T60 = slice(0, 24), slice(24, 29), 29, 30  # of a strike's vector
MODE_COUNT = 8

SILENT = -15.0  # ln amplitude (-130 dB) of the loudest knot from which a voice's first event rises
ABSENT = -30.0  # ln amplitude of a mode that is not there
LONGEST = 1 << 40  # control steps
_LN_F0_RANGE = (np.log(20.0), np.log(8000.0))
_GAIN_RANGE = (-60.0, 12.0)
_LARGEST = 40.0  # of any number but a ramp or an attack
_LONGEST_RAMP = 65536.0  # control steps
_LONGEST_ATTACK = 1000.0  # milliseconds


def mel(hertz: ArrayLike) -> Array:
    """O'Shaughnessy's scale: 2595 log10(1 + f / 700)."""
    return 2595.0 * np.log10(1.0 + np.asarray(hertz, np.float64) / 700.0)


def mel_hertz(mels: ArrayLike) -> Array:
    """The inverse of `mel`, hertz."""
    return 700.0 * (10.0 ** (np.asarray(mels, np.float64) / 2595.0) - 1.0)


KNOTS = mel_hertz(np.linspace(mel(80.0), mel(7800.0), 24))  # hertz
SHARE_KNOTS = np.array([500.0, 1500.0, 3000.0, 5000.0, 7000.0])  # hertz


class Kind(IntEnum):
    RETARGET = 0
    STRIKE = 1
    CODE = 2


@dataclass(frozen=True, eq=False)
class Event:
    """One event; `vector` (32,) as the module's text says."""

    time: int  # control steps
    gain: float  # ln amplitude
    vector: NDArray[np.float32]
    kind: Kind = Kind.RETARGET
    voice: int = 0


def retarget(
    time: int, ramp: float, ln_f0: float, envelope: ArrayLike, logits: ArrayLike, voice: int = 0
) -> Event:
    """A target from an envelope (24,), ln amplitude at `KNOTS`, and logits (5,) at `SHARE_KNOTS`."""
    level = np.asarray(envelope, np.float64)
    vector = np.zeros(DIMENSIONS, np.float32)
    vector[RAMP], vector[LN_F0] = ramp, ln_f0
    vector[SHAPE], vector[SHARES] = level - level.mean(), logits
    return Event(time, float(level.mean()), vector, Kind.RETARGET, voice)


def strike(
    time: int,
    gain: float,
    modes: ArrayLike,
    burst: ArrayLike,
    voice: int = 0,
    damped: tuple[float, float] = (0.0, 0.0),
) -> Event:
    """A group from modes (M, 3), M <= 8, and a burst (5,); `damped`: seconds until the damper falls, ln t60."""
    given = np.asarray(modes, np.float64).reshape(-1, 3)
    vector = np.zeros(DIMENSIONS, np.float32)
    vector[MODES] = np.tile([0.0, 0.0, ABSENT], MODE_COUNT)
    vector[: given.size], vector[BURST] = given.ravel(), burst
    vector[[DAMPED_AFTER, DAMPED_T60]] = damped
    return Event(time, gain, vector, Kind.STRIKE, voice)


def as_events(listed: Iterable[Event]) -> Events:
    """Events (N,) in the order of time; those of one time keep their order."""
    rows = [(e.time, int(e.kind), e.voice, e.gain, e.vector) for e in listed]
    return in_order(np.array(rows, EVENT))


def as_list(events: Events) -> list[Event]:
    """The same as objects."""
    return [
        Event(int(e["time"]), float(e["gain"]), e["vector"].copy(), Kind(e["kind"]), int(e["voice"]))
        for e in events
    ]


def in_order(events: Events) -> Events:
    """Sorted by time; those of one time keep their order."""
    return events[np.argsort(events["time"], kind="stable")]


def check_events(events: Any) -> Events:
    """The events, if a decoder can play them; else InputError says which one it cannot, and why."""
    if not isinstance(events, np.ndarray) or events.dtype != EVENT or events.ndim != 1:
        raise InputError("events are an array (N,) of the dtype rtsynth.codec.event.EVENT")
    refused = {
        "is of no known kind": events["kind"] > max(Kind),
        "has a time out of range": (events["time"] < 0) | (events["time"] > LONGEST),
        "is earlier than the one before it": np.diff(events["time"], prepend=0) < 0,
        "has a gain out of range": ~_within(events["gain"], *_GAIN_RANGE),
        "has a number out of range": ~_plausible(events).all(axis=1),
    }
    for why, which in refused.items():
        if which.any():
            raise InputError(f"event {int(which.argmax())} {why}")
    return events


def _within(values: NDArray[Any], low: ArrayLike, high: ArrayLike) -> NDArray[np.bool_]:
    return (values >= low) & (values <= high)  # not a number is within nothing


def _plausible(events: Events) -> NDArray[np.bool_]:
    """(N, 32): which numbers are ones that the loops can work with."""
    low, high = np.full((3, DIMENSIONS), -_LARGEST), np.full((3, DIMENSIONS), _LARGEST)
    low[Kind.RETARGET, RAMP], high[Kind.RETARGET, RAMP] = 1.0, _LONGEST_RAMP
    low[Kind.RETARGET, LN_F0], high[Kind.RETARGET, LN_F0] = _LN_F0_RANGE
    low[Kind.STRIKE, DAMPED_AFTER] = 0.0
    low[Kind.STRIKE, BURST.stop - 1], high[Kind.STRIKE, BURST.stop - 1] = 0.0, _LONGEST_ATTACK
    low[Kind.CODE], high[Kind.CODE] = -1e6, 1e6
    kind = np.minimum(events["kind"], max(Kind))
    return _within(events["vector"], low[kind], high[kind])


# ---- what a retargeted voice does ----


def trajectory(events: Events, steps: int, voice: int = 0) -> Array:
    """State (steps, 32) of a voice at the starts of control steps 0, 1, …: the specification, slow and plain.

    A state is a target's vector with the gain in the ramp's place. From an event's time on, the state is
    from + (to - from) · min((t - time) / ramp, 1), where `from` is the state at that time; of several events of one
    time the last counts. Before its first event a voice is silent, and then has that event's pitch, shape and shares
    from the start: only the gain rises, from where `silenced` has it.
    """
    mine = events[(events["kind"] == Kind.RETARGET) & (events["voice"] == voice)]
    state = np.zeros(DIMENSIONS)
    if len(mine):
        state = target(mine[0])
    state = silenced(state)
    out = np.tile(state, (steps, 1))
    for event, until in zip(mine, [*mine["time"][1:].tolist(), steps], strict=False):
        begin, goal = int(event["time"]), target(event)
        share = np.minimum(np.arange(max(until - begin, 0) + 1) / float(event["vector"][RAMP]), 1.0)
        path = state + (goal - state) * share[:, None]
        out[begin:until] = path[: max(min(until, steps) - begin, 0)]
        state = path[-1]
    return out


def target(event: Any) -> Array:
    """The state (32,) that one retarget event, a row of Events, moves to."""
    goal = event["vector"].astype(np.float64)
    goal[GAIN] = event["gain"]
    return goal


def silenced(state: Array) -> Array:
    """A state (32,) with its gain so low that no knot is above `SILENT`, or as it is."""
    out = state.copy()
    out[GAIN] = min(state[GAIN], SILENT - state[SHAPE].max())
    return out


def envelope(states: Array, hertz: ArrayLike) -> Array:
    """ln amplitude (..., F) at frequencies (F,) of states (..., 32)."""
    return states[..., GAIN, None] + states[..., SHAPE] @ _weights(mel(hertz), mel(KNOTS)).T


def noise_share(states: Array, hertz: ArrayLike) -> Array:
    """Share of the power, 0…1, (..., F) at frequencies (F,) of states (..., 32)."""
    share = 1.0 / (1.0 + np.exp(-states[..., SHARES]))
    return share @ _weights(np.asarray(hertz, np.float64), SHARE_KNOTS).T


def _weights(at: Array, knots: Array) -> Array:
    """(F, K): what each knot counts at each place, straight lines between knots, constant beyond them."""
    return np.stack([np.interp(at, knots, unit) for unit in np.eye(len(knots))], axis=-1)
