"""`rtsynth generate waveform`: what a network of `rtsynth train waveform` says by itself, as an audio file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, TARGET, Talk, Target
from rtsynth.cli.output import emit, say
from rtsynth.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_SECONDS = 3600.0


def waveform(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="An audio file: .wav, .flac, .ogg, …")],
    model: Annotated[
        str, Parameter(help="A network of `rtsynth train waveform`: a shipped one, or its file.")
    ] = "waveform",
    seconds: Annotated[float, Parameter(help="How long it goes on.")] = 5.0,
    bias: Annotated[float, Parameter(help="0 as trained; above it, tidier: less noise, fewer turns.")] = 0.0,
    seed: Annotated[int, Parameter(help="One seed, one sound: the same seed gives the same bits.")] = 1,
    prime: Annotated[Path | None, Parameter(help="A recording that it hears first and continues.")] = None,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Raw sound out of a network, after silence or after a recording of yours; the file holds both."""
    from rtsynth.sequence.waveform import MOST_BIAS, continued, load

    if not 0.0 < seconds <= LONGEST_SECONDS or not 0.0 <= bias <= MOST_BIAS or seed < 0:
        raise UsageError(
            f"generate waveform takes --seconds up to {LONGEST_SECONDS:g}, --bias 0 to {MOST_BIAS:g}, --seed from 0"
        )
    import numpy as np

    from rtsynth.io.audio_files import AudioWriter

    manifest = load(model)
    rate = manifest.sample_rate
    heard = _heard(prime, rate)
    tags = {"title": f"{manifest.name}, bias {bias:g}, seed {seed}", "software": "rtsynth"}
    with AudioWriter(out, rate, subtype=target.subtype, tags=tags, force=target.force, whole=True) as writer:
        with progress("Generating", talk) as update:
            sound = continued(manifest, heard, round(seconds * rate), seed=seed, bias=bias, progress=update)
        writer.write(np.repeat(sound[:, None], 2, axis=1))
    if talk.json:
        emit(
            {
                "path": str(out),
                "seconds": writer.seconds,
                "heard_seconds": len(heard) / rate,
                "peak": writer.peak,
            }
        )
        return 0
    say(
        talk, f"{writer.seconds:.1f} s, of which {len(heard) / rate:.1f} s were heard; peak {writer.peak:.2f}"
    )
    print(out)
    return 0


def _heard(prime: Path | None, rate: float) -> NDArray[np.float32]:
    """(N,) at the network's rate."""
    import numpy as np

    from rtsynth.io.hearing import read_heard

    if prime is None:
        return np.zeros(0, np.float32)
    heard = read_heard(prime, rate)
    if not heard.size:
        raise InputError(f"{prime} holds no sound to continue from")
    if heard.size > LONGEST_SECONDS * rate:
        raise InputError(f"{prime} is longer than {LONGEST_SECONDS:g} s; cut it, or leave --prime out")
    return heard
