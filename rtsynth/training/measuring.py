"""What a streaming module does, measured: how late, how far ahead and back it hears, how long it rings.

Influence is found by replacing part of the input by other noise and looking where the output moves by more than a
tolerance: no gradient is asked for, and nothing the module says of itself is believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import ThresholdError
from rtsynth.training.contract import Signal, Streamed, tensor

LEVEL = 0.2  # rms of the noise, full scale ±1
LOUDER = 4.0  # the noise that takes the place of the future: peaks and statistics of a whole signal move too
SHORTEST = 8192  # samples
LONGEST_SECONDS = 2.0  # over which the past is followed
ROUNDING = 1e-4  # of the peak: what long sums in another order may come to
SHARP = 0.5  # correlation of input and output from which on its peak is taken for the latency


@dataclass(frozen=True)
class Facts:
    """Samples at the model's rate; None: longer than what was looked at."""

    latency: int  # by which the frames lag behind the whole, or, without a whole, behind the input
    lookahead: int  # of `whole`: input after an output sample that still moves it
    receptive_field: int | None  # input up to an output sample that moves it, the present one included
    tail: int | None  # output after the input has ended
    peak: float  # of its answer to noise, full scale 1
    idle: float  # peak of its answer to nothing but silence


def measure(model: Streamed, tolerance: float, seed: int) -> Facts:
    """Raises ThresholdError where the module is not a stream, or not the one it says it is."""
    rng = np.random.default_rng(seed)
    heard = noise(length(model), rng)
    whole, frames = model.whole(heard), model.unrolled(heard)
    peak = float(np.abs(whole).max())
    if not np.isfinite(peak) or not np.isfinite(frames).all():
        raise refusal(model, "its output is not finite")
    if peak == 0.0:
        raise refusal(model, "it answers noise with nothing but zeros")
    if np.abs(model.unrolled(heard) - frames).max() > 0.01 * tolerance * peak:
        raise refusal(model, "two runs on the same sound differ: dropout, or another source of chance, is on")
    lookahead = _lookahead(model, heard, whole, tolerance * peak, rng)
    latency = _latency(model, heard, whole, frames, tolerance * peak)
    _check_frames(model, whole, frames, tolerance * peak, peak)
    past = noise(max(length(model), round(LONGEST_SECONDS * model.sample_rate)), rng)
    reach = _receptive_field(model, past, tolerance * peak)
    if model.receptive_field is not None and (reach is None or reach > model.receptive_field):
        back = f"{reach - 1} samples back" if reach else f"more than {past.size // 2} samples back"
        raise refusal(model, f"receptive_field says {model.receptive_field}, and input {back} still moves it")
    idle = float(np.abs(model.whole(np.zeros_like(heard))).max())
    return Facts(latency, lookahead, reach, _tail(model, past, tolerance * peak), peak, idle)


def refusal(model: Streamed, why: str) -> ThresholdError:
    return ThresholdError(f"{model.name} is not exported: {why}")


def length(model: Streamed) -> int:
    """Samples to try it on: whole frames, many of them."""
    least = max(SHORTEST, 32 * model.frame, 4 * model.latency)
    return -(-least // model.frame) * model.frame


def noise(count: int, rng: np.random.Generator) -> Signal:
    return (LEVEL * rng.standard_normal(count)).astype(np.float32)


def _moved(before: Signal, after: Signal, limit: float) -> NDArray[np.int64]:
    """Sample numbers at which an output (N, channels) moved."""
    return np.flatnonzero(np.abs(after - before).max(axis=1) > limit)


def _places(model: Streamed, middle: int) -> list[int]:
    """Sample numbers about the middle, at different places of a frame."""
    begin = middle // model.frame * model.frame
    return sorted({begin, begin + 1, begin + model.frame // 2, begin + model.frame - 1})


def _lookahead(model: Streamed, heard: Signal, whole: Signal, limit: float, rng: np.random.Generator) -> int:
    """How far ahead `whole` hears; ThresholdError where it hears what no frame could have heard yet."""
    ahead = 0
    for place in _places(model, heard.size // 2):
        other = heard.copy()
        other[place:] = LOUDER * noise(heard.size - place, rng)
        moved = _moved(whole, model.whole(other), limit)
        moved = moved[moved < place]
        if not moved.size:
            continue
        ahead = max(ahead, int(place - moved[0]))
        answered = (moved + model.latency) // model.frame  # frame in which each of them is said
        if ((answered + 1) * model.frame <= place).any():
            leak = f"whole() hears {int(place - moved[0])} samples ahead, and latency = {model.latency}"
            remedy = "declare the look-ahead, or keep statistics and padding out of the future"
            raise refusal(model, f"{leak}: {remedy}")
    return ahead


def _latency(model: Streamed, heard: Signal, whole: Signal, frames: Signal, limit: float) -> int:
    """By how much the frames lag, from the peak of a correlation; ThresholdError where the module says otherwise."""
    channel = int((whole**2).sum(axis=0).argmax())
    lag, sharpness = _lag(whole[:, channel] if model.has_whole else heard, frames[:, channel])
    found = _fits(whole, frames, lag, limit) if model.has_whole else sharpness >= SHARP
    if lag == model.latency or not found:
        return model.latency
    said = f"latency says {model.latency}: correct it"
    if not model.has_whole:
        why = f"its output is {lag} samples behind its input (correlation {sharpness:.2f}), and {said}"
        raise refusal(model, f"{why}, or give it a whole(x) that says what is meant")
    if lag < 0:
        raise refusal(
            model, f"whole() is {-lag} samples late: its sample n has to answer sample n of its input"
        )
    raise refusal(model, f"forward answers whole() {lag} samples late, and {said}")


def _lag(reference: Signal, delayed: Signal) -> tuple[int, float]:
    """Samples by which `delayed` (M,) is behind `reference` (N,), M <= N, and the correlation there, 0…1."""
    size = 1 << (2 * reference.size - 1).bit_length()
    spectrum = np.fft.rfft(delayed, size) * np.conj(np.fft.rfft(reference[: delayed.size], size))
    product = np.abs(np.fft.irfft(spectrum, size))
    best = int(product.argmax())
    scale = float(np.linalg.norm(delayed) * np.linalg.norm(reference[: delayed.size]))
    return best - size * (best > size // 2), float(product[best]) / max(scale, 1e-30)


def _fits(whole: Signal, frames: Signal, lag: int, limit: float) -> bool:
    """Are the frames the whole, `lag` samples late?"""
    late, early = frames[max(lag, 0) :], whole[max(-lag, 0) :]
    count = min(len(late), len(early)) - abs(lag)
    return count > 0 and float(np.abs(late[:count] - early[:count]).max()) <= limit


def _check_frames(model: Streamed, whole: Signal, frames: Signal, limit: float, peak: float) -> None:
    """ThresholdError where the frames, their states carried, are not the whole."""
    late = frames[model.latency :]
    wrong = _moved(whole[: len(late)], late, limit)
    if not wrong.size:
        return
    error = float(np.abs(late - whole[: len(late)]).max()) / peak
    frame = int(wrong[0] + model.latency) // model.frame
    where = f"frame by frame it differs from the whole by {error:.1e} of the peak, from frame {frame} on"
    why = _states(model) if error > ROUNDING else f"rounding? --tolerance {2 * error:.0e}"
    raise refusal(model, f"{where}: {why}")


def _states(model: Streamed) -> str:
    """What is odd about the states."""
    before = model.initial_states()
    if not before:
        return "it carries no state"
    rng = np.random.default_rng(0)
    _, after = model.step(tensor(noise(model.frame, rng)), before)
    held = [name for name, a, b in zip(model.states, before, after, strict=True) if a.equal(b)]
    if held:
        return f"{', '.join(held)} comes out as it went in"
    return "a state is missing, or not what the next frame needs"


def _receptive_field(model: Streamed, heard: Signal, limit: float) -> int | None:
    """Samples of the past, the present included, that an output depends on: what it forgets is silenced."""
    whole, reach = model.whole(heard), 1
    for place in _places(model, heard.size // 2):
        other = np.where(np.arange(heard.size) < place, np.float32(0.0), heard)
        moved = _moved(whole, model.whole(other), limit)
        moved = moved[moved >= place]
        if not moved.size:
            continue
        if moved[-1] >= heard.size - model.frame:
            return None
        reach = max(reach, int(moved[-1]) - place + 2)
    return reach


def _tail(model: Streamed, heard: Signal, limit: float) -> int | None:
    """Samples until, after noise, it says what it says to silence."""
    end = heard.size // 2
    ending = np.where(np.arange(heard.size) < end, heard, np.float32(0.0))
    moved = _moved(model.whole(np.zeros_like(heard)), model.whole(ending), limit)
    last = int(moved[-1]) + 1 if moved.size else 0
    return None if last >= heard.size - model.frame else max(0, last - end)
