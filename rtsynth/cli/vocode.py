"""`rtsynth vocode`: mel frames, or those of a recording, through a vocoder to an audio file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, TARGET, Talk, Target
from rtsynth.cli.output import emit, say, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtsynth.vocoder.stream import Vocoder

PIECE = 64  # frames at once
USUAL = (-12.5, 5.0)  # between which the natural logarithms of speech lie; -11.5 is silence

Model = Annotated[str, Parameter(help="A vocoder's .onnx file (rtsynth export hifigan), or one that ships.")]


def vocode(
    source: Annotated[
        Path, Parameter(help="Log-mel frames, a .npy file (80, T); or a recording, whose frames are taken.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="A .wav, .flac, .ogg, … file.")],
    model: Model = "vocoder",
    device: Annotated[str, Parameter(help="cpu, cuda or auto.")] = "cpu",
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Say what mel frames say: natural logarithms, 80 bands on Slaney's scale, as HiFi-GAN takes them."""
    from rtsynth.io.audio_files import AudioWriter
    from rtsynth.target import check_target
    from rtsynth.vocoder.stream import load_vocoder

    check_target(out, target.force)
    vocoder = load_vocoder(model, device=device)
    mel = read_frames(source, vocoder)
    begun = time.perf_counter()
    tags = {"comment": f"vocoder {vocoder.name}, from {source.name}"}
    with (
        AudioWriter(
            out, vocoder.sample_rate, subtype=target.subtype, tags=tags, force=target.force, whole=True
        ) as writer,
        progress(f"Vocoding {source.name}", talk) as update,
    ):
        for share, sound in _said(vocoder, mel):
            writer.write(sound[:, None].repeat(2, axis=1))
            update(share)
    took = time.perf_counter() - begun
    if talk.json:
        emit(
            {
                "path": str(out),
                "model": vocoder.name,
                "frames": mel.shape[1],
                "seconds": writer.seconds,
                "took": took,
                "latency": vocoder.latency,
                "rate": vocoder.sample_rate,
                "peak": writer.peak,
                "clipped": writer.clipped,
            }
        )
        return 0
    say(talk, f"{writer.seconds:.1f} s in {took:.1f} s ({writer.seconds / max(took, 1e-9):.0f} × real time)")
    print(out)
    return 0


def _said(vocoder: Vocoder, mel: NDArray[np.float32]) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """(share done, samples) piece by piece."""
    count = mel.shape[1]
    for first in range(0, count, PIECE):
        yield min(1.0, (first + PIECE) / count), vocoder.push(mel[:, first : first + PIECE])
    yield 1.0, vocoder.finish()


def read_frames(source: Path, vocoder: Vocoder) -> NDArray[np.float32]:
    """(bands, T), T ≥ 1, of a .npy file or of a recording. InputError for what holds none."""
    from rtsynth.errors import InputError

    mel = _read_mel(source, vocoder.mel.bands) if source.suffix == ".npy" else _analysed(source, vocoder)
    if not mel.shape[1]:
        raise InputError(f"{source} holds no frame: a frame is {vocoder.hop} samples")
    return mel


def _read_mel(path: Path, bands: int) -> NDArray[np.float32]:
    """(bands, T) of (bands, T), (T, bands) or (1, bands, T); what may be either is the first."""
    import numpy as np

    from rtsynth.errors import InputError

    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"no file {path}") from None
    except (OSError, ValueError, EOFError, SyntaxError, MemoryError) as error:
        cause = " ".join(str(error).split())[:100]
        raise InputError(f"{path} holds no numbers that can be read: {cause}") from None
    found = found[0] if found.ndim == 3 and len(found) == 1 else found
    if found.ndim != 2 or bands not in found.shape or found.dtype.kind not in "fiu":
        raise InputError(f"{path}: {found.dtype} {found.shape}; log-mel frames ({bands}, T) are needed")
    mel = (found if found.shape[0] == bands else found.T).astype(np.float32)
    if mel.size and not (USUAL[0] <= mel.min() and mel.max() <= USUAL[1]):
        warn(
            f"{path}: from {mel.min():.1f} to {mel.max():.1f}; natural logarithms of amplitude lie between -11.5 and "
            "about 2. Of log10, multiply by 2.3026"
        )
    return mel


def _analysed(path: Path, vocoder: Vocoder) -> NDArray[np.float32]:
    """Of a recording of any rate: the mean of its channels, in pieces that need little memory."""
    import numpy as np

    from rtsynth.io.hearing import read_heard
    from rtsynth.vocoder.mel import MelStream

    heard = read_heard(path, vocoder.sample_rate)
    stream, step = MelStream(vocoder.mel), 1 << 16
    pieces = [stream.push(heard[first : first + step]) for first in range(0, heard.size, step)]
    return np.concatenate([*pieces, stream.finish()], axis=1)
