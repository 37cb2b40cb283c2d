"""The codecs that the events are measured against, as programs: Opus (opusenc, opusdec) and Codec 2 (c2enc, c2dec)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE = 16_000
PROGRAMS = {"opus": ("opusenc", "opusdec"), "codec2": ("c2enc", "c2dec")}
INSTALL = "apt-get install opus-tools codec2"


class Heard(NamedTuple):
    """What came back of a clip, at 16 kHz, and what it took."""

    samples: Array
    bits: int  # payload: no container
    events: int = 0


def has(name: str) -> bool:
    return all(shutil.which(program) for program in PROGRAMS[name])


def opus(samples: Array, kbps: int) -> Heard:
    """Hard constant rate, frames of 20 ms, tuned for speech; samples (N,) at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        wav, ogg, out = (str(Path(folder) / name) for name in ("x.wav", "x.opus", "y.wav"))
        soundfile.write(wav, samples, RATE, subtype="PCM_16")
        flags = ["--bitrate", str(kbps), "--hard-cbr", "--framesize", "20", "--speech", "--quiet"]
        _run(["opusenc", *flags, wav, ogg])
        _run(["opusdec", "--rate", str(RATE), "--quiet", ogg, out])
        return Heard(soundfile.read(out)[0], 8 * ogg_payload(Path(ogg).read_bytes()))


def ogg_payload(data: bytes) -> int:
    """Bytes of the packets of an Ogg stream but for the first two, which are heads (RFC 3533, RFC 7845)."""
    packets, at, open_packet = [], 0, 0
    while at < len(data):
        segments = data[at + 27 : at + 27 + data[at + 26]]
        for size in segments:
            open_packet += size
            if size < 255:
                packets.append(open_packet)
                open_packet = 0
        at += 27 + len(segments) + sum(segments)
    return sum(packets[2:])


def codec2(samples: Array, mode: str) -> Heard:
    """Mode 3200, 2400, 1300 or 700C; samples (N,) at 16 kHz, which it hears at 8 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        raw, bits, out = (str(Path(folder) / name) for name in ("x.raw", "x.c2", "y.raw"))
        narrow = soxr.resample(samples, RATE, RATE // 2)
        np.clip(np.rint(32768.0 * narrow), -32768, 32767).astype("<i2").tofile(raw)
        _run(["c2enc", mode, raw, bits])
        _run(["c2dec", mode, bits, out])
        decoded = np.fromfile(out, "<i2") / 32768.0
        return Heard(soxr.resample(decoded, RATE // 2, RATE), 8 * Path(bits).stat().st_size)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
