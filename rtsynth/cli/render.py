"""`rtsynth render`: a piece to an audio file, faster than real time; the same bytes for every block size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TAKE, TALK, TARGET, TUNED, Take, Talk, Target, Tuned
from rtsynth.cli.loading import load_instrument, load_piece, load_pitches, tags
from rtsynth.cli.measurements import as_json, warn_of_limiting
from rtsynth.cli.output import emit, say, warn
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.io.midi_files import MidiPiece
    from rtsynth.io.rendering import Rendered

DEFAULT_RATE = 48000.0  # hertz
PRESET = (
    "Name of a preset (rtsynth presets list), or a TOML file; or a log: last, or its file (rtsynth log list)."
)
FAITHFUL = "Key 60 as the kernel's author published it: 5000 samples, aliases and all, instead of a piece."


def render(
    preset: Annotated[str, Parameter(help=PRESET)],
    piece: Annotated[str | None, Parameter(help="A MIDI file; of a log: none.")] = None,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="A .wav, .flac, .ogg, … file.")],
    faithful: Annotated[bool, Parameter(help=FAITHFUL, show_default=False)] = False,
    take: Take = TAKE,
    tuned: Tuned = TUNED,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Render a piece to an audio file, until its last note has died away; or again what was played, bit for bit."""
    from rtsynth.engine.session_files import is_log

    if is_log(preset):
        return _render_log(preset, piece, out, faithful, take, tuned, target, talk)
    if faithful:
        if piece is not None or take.rate is not None or take.seconds is not None:
            raise UsageError(
                "--faithful has its own note, rate and length: leave the piece, --rate and --seconds out"
            )
        if tuned != TUNED:
            raise UsageError("--faithful is tuned as published: leave --tuning, --kbm and --a4 out")
        return _render_published(preset, out, take, target, talk)
    if piece is None:
        raise UsageError(f"render needs a MIDI file: rtsynth render {preset} piece.mid -o {out}")
    return render_piece(preset, load_piece(piece, talk), out, take, tuned, target, talk)


def _render_published(preset: str, out: Path, take: Take, target: Target, talk: Talk) -> int:
    """Key 60 as "Gaussian Process Middle C" sampled and wrote it: too slowly for its harmonics, at another rate."""
    from rtsynth.io.rendering import render_file
    from rtsynth.kernels.two_regime import PUBLISHED_RATE, PUBLISHED_SAMPLES, WRITTEN_RATE
    from rtsynth.messages import Kind, message

    rendered = render_file(
        load_instrument(preset, take.seed, talk, alias=True),
        message(Kind.NOTE_ON, number=60, value=1.0),
        out,
        sample_rate=PUBLISHED_RATE,
        written_rate=WRITTEN_RATE,
        seconds=PUBLISHED_SAMPLES / PUBLISHED_RATE,
        gain_db=take.gain_db,
        subtype=target.subtype or "PCM_16",
        tags=tags(preset, take.seed),
        force=target.force,
    )
    tell(rendered, take, talk)
    return 0


def _render_log(
    which: str,
    piece: str | None,
    out: Path,
    faithful: bool,
    take: Take,
    tuned: Tuned,
    target: Target,
    talk: Talk,
) -> int:
    """What was played, to the bit, as long as it was played; or the first `take.seconds` of it."""
    from rtsynth.cli import keeping
    from rtsynth.engine.session_files import find
    from rtsynth.engine.session_log import read_log
    from rtsynth.io.rendering import render_file

    if piece is not None or faithful:
        raise UsageError(f"a log is rendered as it was played: rtsynth render {which} -o {out}")
    keeping.warn_of_unused(
        rate=take.rate is not None,
        seed=take.seed != TAKE.seed,
        tuning=tuned != TUNED,
        **{"gain-db": take.gain_db != TAKE.gain_db},
    )
    kept = read_log(find(which))
    keeping.warn_of_doubts(kept)
    heard = keeping.heard_in(kept)
    seconds = kept.frames / kept.rate
    with progress(f"Rendering {out.name}", talk) as update:
        rendered = render_file(
            keeping.source_of(kept),
            kept.messages,
            out,
            sample_rate=kept.rate,
            seconds=seconds if take.seconds is None else min(seconds, take.seconds),
            block=take.block,
            heard=heard,
            replay=True,
            subtype=target.subtype,
            tags=kept.header.get("tags", {}),
            force=target.force,
            progress=update,
        )
    tell(rendered, take, talk)
    return 0


def render_piece(
    preset: str, piece: MidiPiece | None, out: Path, take: Take, tuned: Tuned, target: Target, talk: Talk
) -> int:
    """Write a piece to `out` and print its path; without a piece, `take.seconds` of nothing played."""
    import numpy as np

    from rtsynth.io.rendering import render_file
    from rtsynth.messages import MESSAGE

    sample_rate = take.rate or DEFAULT_RATE
    with progress(f"Rendering {out.name}", talk) as update:
        rendered = render_file(
            load_instrument(preset, take.seed, talk),
            piece.at_rate(sample_rate) if piece else np.empty(0, MESSAGE),
            out,
            sample_rate=sample_rate,
            seconds=take.seconds,
            block=take.block,
            gain_db=take.gain_db,
            tuning=load_pitches(tuned),
            subtype=target.subtype,
            tags=tags(preset, take.seed),
            force=target.force,
            progress=update,
        )
    tell(rendered, take, talk)
    return 0


def tell(rendered: Rendered, take: Take, talk: Talk, **more: Any) -> None:
    """Print the path of what was rendered, or with `more` all about it in JSON; and how long it took."""
    report = rendered.report
    warn_of_limiting(report, take.gain_db)
    if rendered.clipped:
        warn(f"{rendered.clipped} samples were cut at full scale: lower --gain-db, or use --subtype FLOAT")
    peak = f"peak {report.peak_db:.1f} dBFS" if report.peak > 0 else "silence"
    speed = f"{rendered.times_real_time:.0f} × real time"
    say(talk, f"{rendered.seconds:.1f} s in {rendered.took:.1f} s ({speed}), {peak}")
    if talk.json:
        emit(
            {
                "path": str(rendered.path),
                "seconds": rendered.seconds,
                "took": rendered.took,
                "clipped": rendered.clipped,
                **as_json(report),
                **more,
            }
        )
    else:
        print(rendered.path)
