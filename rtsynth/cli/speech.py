"""`rtsynth speech`: fit a recording of speech as a Gaussian process, and draw it again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TAKE, TALK, TARGET, Take, Talk, Target
from rtsynth.cli.output import emit, say, warn
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtsynth.io.audio_files import AudioWriter
    from rtsynth.speech.model import Model

    Array = NDArray[np.float64]

Mode = Literal["zero-ended", "conditioned", "state-space"]

CLIPPED = 0.999  # of full scale
CHUNK = 65536  # frames written at a time

app = App(name="speech", help="Fit a recording of speech as a Gaussian process, and draw it again.")

Report = Annotated[
    Path | None, Parameter(help="Write a page with players, spectrograms and measures to this .html file.")
]
Force = Annotated[
    bool, Parameter(name=["--force", "-f"], show_default=False, help="Overwrite a file that is there.")
]
Forget = Annotated[
    bool,
    Parameter(show_default=False, help="Keep nothing of the recording itself: a smaller file, no --keep."),
]


@app.command
def fit(
    recording: Annotated[
        Path, Parameter(help="A .wav, .flac, .ogg, .mp3, … file; its channels are averaged.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="The model: a .speech.npz file.")],
    hop_ms: Annotated[
        float, Parameter(help="Milliseconds from block to block; the seed's blocks are 50.")
    ] = 5.0,
    bands: Annotated[int, Parameter(help="Bands of noise, as wide as the ear's scale makes them.")] = 64,
    harmonics: Annotated[int, Parameter(help="Harmonics of the voice, at most; 0: noise alone.")] = 40,
    forget: Forget = False,
    report: Report = None,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Fit a recording: envelope, fundamental, and the powers of a spectral mixture in every block."""
    from rtsynth.io.audio_files import read_audio
    from rtsynth.speech.analysis import Settings, analyse
    from rtsynth.speech.storage import check_model_target, save_model

    check_model_target(out, force)
    _check_report(report, force)
    settings = Settings(hop_ms=hop_ms, bands=bands, harmonics=harmonics)
    settings.check()
    channels, rate = read_audio(recording)
    samples = channels.mean(axis=1)
    _warn_of_clipping(channels, recording)
    start = time.perf_counter()
    with progress(f"Fitting {recording.name}", talk) as update:
        model = analyse(samples, rate, settings, update, keep=not forget)
    took = time.perf_counter() - start
    size = save_model(model, out, force)
    say(
        talk,
        f"{model.seconds:.1f} s in {took:.1f} s: {model.frames} blocks of {model.rows} rows, {size} bytes",
    )
    if report is not None:
        _write_report(report, model, samples, recording.name, talk)
    if talk.json:
        emit({"path": str(out), "seconds": model.seconds, "took": took, "bytes": size, **_shape(model)})
    else:
        print(out)
    return 0


@app.command
def render(
    model: Annotated[Path, Parameter(help="A .speech.npz file that `rtsynth speech fit` wrote.")],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="A .wav, .flac, .ogg, … file.")],
    mode: Annotated[
        Mode, Parameter(help="How blocks join: as the seed did, in two ways, or with carried state.")
    ] = ("state-space"),
    keep: Annotated[float, Parameter(help="How much of the recording's innovations to keep, 0…1.")] = 0.0,
    report: Report = None,
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Draw the utterance to an audio file; the same seed gives the same bytes for every block size."""
    from rtsynth.io.audio_files import AudioWriter
    from rtsynth.speech.storage import load_model

    _check_report(report, target.force)
    loaded = load_model(model)
    if mode != "state-space":
        _check_dense(mode, keep, take, loaded.rate)
    rate = take.rate or loaded.rate
    start = time.perf_counter()
    with AudioWriter(
        out,
        rate,
        subtype=target.subtype,
        tags=_tags(model, mode, keep, take.seed),
        force=target.force,
        whole=True,
    ) as writer:
        with progress(f"Drawing {out.name}", talk) as update:
            sound = _draw(loaded, mode, keep, take, talk, update)
        _write(writer, sound)
    if writer.clipped:
        warn(f"{writer.clipped} samples were cut at full scale: lower --gain-db, or use --subtype FLOAT")
    took = time.perf_counter() - start
    peak = f"peak {20 * math.log10(writer.peak):.1f} dBFS" if writer.peak > 0 else "silence"
    say(talk, f"{writer.seconds:.1f} s in {took:.1f} s, {peak}")
    if report is not None:
        from rtsynth.speech.kept import kept_sound

        _write_report(report, loaded, kept_sound(loaded), model.name, talk)
    if talk.json:
        emit(
            {
                "path": str(out),
                "mode": mode,
                "keep": keep,
                "seconds": writer.seconds,
                "took": took,
                "clipped": writer.clipped,
                "peak": writer.peak,
            }
        )
    else:
        print(out)
    return 0


def draw_state_space(
    model: Model, keep: float, take: Take, update: Callable[[float], None] | None = None
) -> NDArray[np.float32]:
    """The utterance (frames, 2), through the engine as any instrument."""
    from rtsynth.engine.render import render as render_messages
    from rtsynth.io.rendering import with_gain
    from rtsynth.messages import Kind, message
    from rtsynth.speech.utterance import Utterance

    rate = take.rate or model.rate
    seconds = model.seconds if take.seconds is None else min(take.seconds, model.seconds)
    return render_messages(
        Utterance(model, take.seed, keep),
        with_gain(message(Kind.NOTE_ON, number=60, value=1.0), take.gain_db),
        round(seconds * rate),
        sample_rate=rate,
        block=take.block,
        progress=update,
    )


def _draw(
    model: Model, mode: Mode, keep: float, take: Take, talk: Talk, update: Callable[[float], None]
) -> NDArray[np.float32]:
    import numpy as np

    from rtsynth.cli.loading import announce_compiling
    from rtsynth.speech.blocks import draw_conditioned, draw_zero_ended

    if mode == "state-space":
        announce_compiling(talk)
        return draw_state_space(model, keep, take, update)
    dense = draw_zero_ended if mode == "zero-ended" else draw_conditioned
    sound = dense(model, take.seed, update) * 10 ** (take.gain_db / 20)
    count = sound.size if take.seconds is None else round(take.seconds * model.rate)
    return np.repeat(sound[:count, None].astype(np.float32), 2, axis=1)


def _write(writer: AudioWriter, sound: NDArray[np.float32]) -> None:
    for start in range(0, len(sound), CHUNK):
        writer.write(sound[start : start + CHUNK])


def _check_dense(mode: Mode, keep: float, take: Take, rate: float) -> None:
    if keep:
        raise UsageError(f"--keep is of the state-space mode: leave it out of --mode {mode}, or the mode")
    if take.rate not in (None, rate):
        raise UsageError(
            f"--mode {mode} draws at the recording's rate: leave --rate out, or try --rate {rate:g}"
        )


def _check_report(report: Path | None, force: bool) -> None:
    if report is not None:
        from rtsynth.cli.page import check_page

        check_page(report, force)


def _write_report(report: Path, model: Model, samples: Array, name: str, talk: Talk) -> None:
    from rtsynth.cli.speech_page import write_speech_page

    with progress(f"Writing {report.name}", talk) as update:
        write_speech_page(report, model, samples, name, update)
    say(talk, f"Report: {report}")


def _warn_of_clipping(channels: Array, recording: Path) -> None:
    clipped = int((abs(channels) >= CLIPPED).sum())
    if clipped > 1e-3 * channels.size:
        share = 100.0 * clipped / channels.size
        warn(
            f"{recording}: {share:.2g} % of the samples are at full scale: the recording is clipped, and fitted so"
        )


def _shape(model: Model) -> dict[str, float]:
    return {
        "blocks": model.frames,
        "rows": model.rows,
        "hop_ms": 1e3 * model.hop / model.rate,
        "rate": model.rate,
    }


def _tags(path: Path, mode: Mode, keep: float, seed: int) -> dict[str, str]:
    from rtsynth import __version__

    comment = f"speech {path.name}, mode {mode}, keep {keep:g}, seed {seed}"
    return {"software": f"rtsynth {__version__}", "comment": comment}
