"""A copy of an audio file with some samples replaced: of the others not one bit changes, where the format allows it.

Samples that are integers stay so on their way: nothing is scaled or rounded but what is new.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, RtsynthError
from rtsynth.io.audio_files import format_of
from rtsynth.io.quiet import quiet_stderr
from rtsynth.io.sink import Sink
from rtsynth.target import check_target

_INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "ULAW": 16, "ALAW": 16, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOAT_BITS = {"FLOAT": 25, "DOUBLE": 54}  # of integers they hold
_DECODED_BITS = 25  # libsndfile decodes lossy formats to float32
_COMPANDED = {"ULAW", "ALAW"}
_FAMILY = {"WAVEX": "WAV", "RF64": "WAV"}  # containers that share a suffix
_SFC_SET_ADD_PEAK_CHUNK, _SF_FALSE = 0x1050, 0  # sndfile.h

Patch = tuple[int, NDArray[np.float64]]  # first sample, and what is there from then on (M, C), full scale ±1


@dataclass(frozen=True)
class _Form:
    """How samples are stored, in libsndfile's names."""

    container: str
    subtype: str
    endian: str
    rate: int
    channels: int


def patch_audio(source: Path, target: Path, patches: Sequence[Patch], *, force: bool = False) -> bool:
    """Copy `source` to `target` with the patches in it; True where all other samples are the same to the bit.

    Rate, channels, length and tags stay; so do container and subtype where the suffix of `target` has them. `target`
    appears once it is whole. Raises UsageError for a target that is there (without `force`) or has no audio suffix,
    InputError for a source that cannot be read or a folder that is not there, RtsynthError where the disk is full.
    """
    import soundfile

    check_audio_target(target, force)
    try:
        with quiet_stderr(), soundfile.SoundFile(source) as file:
            old = _Form(file.format, file.subtype, file.endian, file.samplerate, file.channels)
            new = _form_of(target, old)
            integers = {old.subtype, new.subtype} <= _INTEGER_BITS.keys()
            samples = file.read(dtype="int32" if integers else "float64", always_2d=True)
            tags = file.copy_metadata()
    except soundfile.SoundFileError as problem:
        raise InputError(
            f"cannot read {source}: {problem}. If another program plays it: ffmpeg -i {source} x.wav"
        ) from problem
    for first, replacement in patches:
        patch = _as_integers(replacement, new.subtype) if integers else replacement
        samples[first : first + len(patch)] = patch
    _write(target, samples, new, tags)
    return _exact(old.subtype, new.subtype)


def check_audio_target(target: Path, force: bool) -> None:
    """Raises UsageError or InputError where `target` cannot be written: to be asked before long work."""
    format_of(target)
    check_target(target, force)


def _form_of(target: Path, old: _Form) -> _Form:
    """The form of the source as far as the suffix of `target` has it; lossy sound in an exact container as floats."""
    import soundfile

    wanted = format_of(target)
    if _FAMILY.get(old.container, old.container) == _FAMILY.get(wanted.container, wanted.container):
        # What libsndfile can read it cannot always write: an extensible header in a big-endian file.
        forms = ((c, e) for e in (old.endian, "FILE") for c in (old.container, wanted.container))
        for container, endian in forms:
            if soundfile.check_format(container, old.subtype, endian):
                return replace(old, container=container, endian=endian)
    decoded = () if old.subtype in _INTEGER_BITS else ("FLOAT",)
    possible = [name for name in (old.subtype, *decoded) if soundfile.check_format(wanted.container, name)]
    return _Form(wanted.container, (possible or [wanted.subtype])[0], "FILE", old.rate, old.channels)


def _exact(old: str, new: str) -> bool:
    if old == new:
        return old in _INTEGER_BITS or old in _FLOAT_BITS
    if old in _INTEGER_BITS and new in _INTEGER_BITS:
        return new not in _COMPANDED and _INTEGER_BITS[new] >= _INTEGER_BITS[old]
    return _FLOAT_BITS.get(new, 0) >= (_INTEGER_BITS | _FLOAT_BITS).get(old, _DECODED_BITS)


def _as_integers(replacement: NDArray[np.float64], subtype: str) -> NDArray[np.int32]:
    """Rounded to the bits that samples of the file have, cut at full scale, left-aligned in 32 bits."""
    bits = _INTEGER_BITS[subtype]
    full = 2.0 ** (bits - 1)
    steps = np.clip(np.rint(replacement * full), -full, full - 1.0).astype(np.int64)
    return (steps << (32 - bits)).astype(np.int32)


def _write(target: Path, samples: NDArray[Any], form: _Form, tags: dict[str, str]) -> None:
    import soundfile

    part = target.with_name(f".{target.name}.part")
    try:
        sink = Sink(part)
    except OSError as problem:
        raise InputError(f"cannot write {target}: {problem.strerror}") from problem
    try:
        with soundfile.SoundFile(
            sink,
            "w",
            form.rate,
            form.channels,
            subtype=form.subtype,
            endian=form.endian,
            format=form.container,
        ) as file:
            # The peak chunk of float files holds the time of day: without it the same sound is the same bytes.
            soundfile._snd.sf_command(file._file, _SFC_SET_ADD_PEAK_CHUNK, soundfile._ffi.NULL, _SF_FALSE)
            for name, text in tags.items():
                setattr(file, name, text)
            file.write(samples)
        if sink.problem:
            raise RtsynthError(f"cannot write {target}: {sink.problem.strerror}; nothing was saved")
        os.replace(part, target)
    except (soundfile.SoundFileError, AssertionError) as problem:
        raise RtsynthError(
            f"cannot write {target}: {sink.problem or problem}; nothing was saved"
        ) from problem
    finally:
        sink.close()
        part.unlink(missing_ok=True)
