"""`rtsynth codec`: a sound as sparse events, back, and what a file of events holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from rtsynth.cli.codec_encoding import Wish, encode_recording, wish
from rtsynth.cli.display import progress
from rtsynth.cli.flags import TAKE, TALK, TARGET, Take, Talk, Target
from rtsynth.cli.output import columns, emit, say, warn
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.codec.storage import EventFile

REFINE = "Analysis by synthesis: nearer to the recording, some 15 times slower than real time. Needs torch."
SCHEDULER = "Address of a Dask cluster for a folder, tcp://host:8786; its workers see the same folders."

ARTICLE = "article"  # the scheme whose events its own generator plays

app = App(name="codec", help="A sound as a few dozen events a second, and back.")

Force = Annotated[
    bool, Parameter(name=["--force", "-f"], show_default=False, help="Overwrite a file that is there.")
]
EventsIn = Annotated[Path, Parameter(help="A .events file that `rtsynth codec encode` wrote.")]
Model = Annotated[
    Path | None, Parameter(help="Of the scheme `article`: another model than the shipped one, an .onnx file.")
]
Midi = Annotated[Path | None, Parameter(help="Write the onsets as notes to this .mid file.")]


@app.command
def encode(
    recording: Annotated[
        Path, Parameter(help="A .wav, .flac, .ogg, .mp3, … file, its channels averaged; or a folder of them.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="The events: a .events file, or a folder.")],
    events_per_second: Annotated[float | None, Parameter(help="5…60; 30 unless a rate is given.")] = None,
    rate_kbps: Annotated[
        float | None, Parameter(help="Bits a second, in thousands, instead of that.")
    ] = None,
    scheme: Annotated[
        Literal["auto", "retarget", "strike", "article"],
        Parameter(
            help="retarget: speech, held notes; strike: struck, plucked; auto: by listening; article: as published."
        ),
    ] = "auto",
    coding: Annotated[
        str,
        Parameter(help="file-59, file-49 (bits a retarget), live-59, live-49, or float: all numbers kept."),
    ] = "file-59",
    refine: Annotated[bool, Parameter(show_default=False, help=REFINE)] = False,
    model: Model = None,
    midi: Midi = None,
    scheduler: Annotated[str | None, Parameter(help=SCHEDULER)] = None,
    workers: Annotated[int | None, Parameter(help="Processes for a folder; else one a core.")] = None,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Encode a recording, or every recording below a folder: what is done already is not done again."""
    asked = wish(events_per_second, rate_kbps, coding, scheme, refine, model)
    if recording.is_dir():
        if midi is not None:
            raise UsageError("--midi is of one recording: rtsynth codec info x.events --midi x.mid")
        return _encode_folder(recording, out, asked, scheduler, workers, force, talk)
    if scheduler is not None or workers is not None:
        raise UsageError("--scheduler and --workers are for a folder of recordings: leave them out")
    from rtsynth.codec.storage import check_events_target

    check_events_target(out, force)
    _check_midi(midi, force)
    with progress(f"Encoding {recording.name}", talk) as update:
        encoded = encode_recording(recording, out, asked, force, update)
    for text in encoded.warnings:
        warn(text)
    _write_midi(midi, encoded.file, force, talk)
    told = encoded.as_dict()
    say(
        talk,
        f"{told['seconds']:.1f} s in {encoded.took:.1f} s: {_kinds(told)}, "
        f"{told['events_per_second']:.1f} a second, {told['bits_per_second'] / 1e3:.2f} kb/s, {encoded.size} bytes",
    )
    if talk.json:
        emit(told)
    else:
        print(out)
    return 0


def _encode_folder(
    folder: Path, out: Path, asked: Wish, scheduler: str | None, workers: int | None, force: bool, talk: Talk
) -> int:
    """Exit code 1 where a recording could not be encoded; the others are."""
    from rtsynth.cli.codec_corpus import jobs, on_cluster, on_this_machine

    listed = jobs(folder, out)
    if workers is not None and workers < 1:
        raise UsageError("--workers takes 1 or more")
    outcomes = (
        on_this_machine(listed, asked, force, workers)
        if scheduler is None
        else on_cluster(listed, asked, force, scheduler)
    )
    counts = {"encoded": 0, "there already": 0, "failed": 0}
    with progress(f"Encoding {folder}", talk) as update:
        for count, outcome in enumerate(outcomes, 1):
            counts["failed" if outcome.problem else "there already" if outcome.done else "encoded"] += 1
            for text in (*outcome.warnings, *([outcome.problem] if outcome.problem else [])):
                warn(text)
            if talk.json:
                emit(outcome.as_dict())
            update(count / len(listed))
    say(talk, ", ".join(f"{count} {what}" for what, count in counts.items()))
    if not talk.json:
        print(out)
    return 1 if counts["failed"] else 0


@app.command
def decode(
    events: EventsIn,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="A .wav, .flac, .ogg, … file.")],
    model: Model = None,
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Render events to an audio file, at the rate of what was encoded unless --rate says another."""
    import numpy as np

    from rtsynth.cli.loading import announce_compiling
    from rtsynth.cli.render import tell
    from rtsynth.codec.decoder import Decoder
    from rtsynth.codec.storage import read_events
    from rtsynth.io.rendering import render_file
    from rtsynth.messages import MESSAGE

    file = read_events(events)
    if file.scheme == ARTICLE:
        return _decode_article(file, events, out, model, take, target, talk)
    if model is not None:
        raise UsageError(f"{events} needs no model: leave --model out")
    _check_playable(file, events)
    announce_compiling(talk)
    with progress(f"Rendering {out.name}", talk) as update:
        rendered = render_file(
            Decoder(file.events, take.seed),
            np.empty(0, MESSAGE),
            out,
            sample_rate=take.rate or float(file.rate),
            seconds=file.seconds if take.seconds is None else take.seconds,
            block=take.block,
            gain_db=take.gain_db,
            subtype=target.subtype,
            tags=_tags(events, take.seed),
            force=target.force,
            progress=update,
        )
    tell(rendered, take, talk, events=len(file.events))
    return 0


@app.command
def info(events: EventsIn, /, *, midi: Midi = None, force: Force = False, talk: Talk = TALK) -> int:
    """Figures of a file of events, and every event."""
    from rtsynth.codec.info import described, summary, table
    from rtsynth.codec.storage import read_events

    _check_midi(midi, force)
    file = read_events(events)
    told = summary(file, events.stat().st_size)
    _write_midi(midi, file, force, talk)
    if talk.json:
        emit({"path": str(events), **told, "table": list(described(file))})
        return 0
    print(
        columns(
            [
                ("length", f"{told['seconds']:.3f} s, from {told['rate']} Hz"),
                (
                    "events",
                    f"{_kinds(told)}; {told['events_per_second']:.1f} a second, {told['voices']} voices",
                ),
                ("coding", ", ".join(told["codings"]) or "none"),
                (
                    "bits",
                    f"{told['bits_per_second'] / 1e3:.3f} kb/s, {told['bits_per_event']:.1f} an event; "
                    f"the file with its heads {told['file_bits_per_second'] / 1e3:.3f} kb/s",
                ),
                ("redundant", f"{100 * told['redundant']:.1f} % within 23 ms of the last of their voice"),
            ]
        )
    )
    if not talk.quiet:
        print()
        print(columns(table(file)))
    return 0


def _decode_article(
    file: EventFile, events: Path, out: Path, model: Path | None, take: Take, target: Target, talk: Talk
) -> int:
    """By its own generator, a window an event; what --seed draws is the noise of its bursts."""
    import numpy as np
    import soxr

    from rtsynth.codec.article import ArticleCodec, shipped
    from rtsynth.io.audio_files import AudioWriter

    codec = ArticleCodec.load(model or shipped(), seed=take.seed)
    rate = take.rate or float(file.rate)
    sound = codec.decode(file.events, round(file.seconds * codec.scheme.rate))
    sound = soxr.resample(sound, codec.scheme.rate, rate, quality="VHQ") * np.float32(
        10 ** (take.gain_db / 20)
    )
    tags = _tags(events, take.seed)
    with AudioWriter(out, rate, subtype=target.subtype, tags=tags, force=target.force, whole=True) as writer:
        writer.write(np.repeat(sound[:, None], 2, axis=1).astype(np.float32))
    if writer.clipped:
        warn(f"{writer.clipped} samples were cut at full scale: lower --gain-db, or use --subtype FLOAT")
    if talk.json:
        emit(
            {
                "path": str(out),
                "seconds": writer.seconds,
                "clipped": writer.clipped,
                "events": len(file.events),
            }
        )
    else:
        print(out)
    return 0


def _check_playable(file: EventFile, path: Path) -> None:
    from rtsynth.codec.event import Kind
    from rtsynth.codec.storage import STEP
    from rtsynth.errors import InputError

    if file.step != STEP or (file.events["kind"] == Kind.CODE).any():
        raise InputError(
            f"{path} is for the generator of the scheme '{file.scheme}', which decode does not have"
        )


def _kinds(told: dict[str, Any]) -> str:
    return ", ".join(f"{count} {kind}s" for kind, count in told["kinds"].items() if count) or "no events"


def _check_midi(midi: Path | None, force: bool) -> None:
    if midi is not None:
        from rtsynth.io.midi_writing import check_midi_target

        check_midi_target(midi, force)


def _write_midi(midi: Path | None, file: EventFile, force: bool, talk: Talk) -> None:
    if midi is None:
        return
    from rtsynth.codec.notes import notes
    from rtsynth.io.midi_writing import write_midi

    found = notes(file.events, file.seconds, float(file.step))
    write_midi(midi, found, force)
    say(talk, f"{len(found)} notes: {midi}")


def _tags(path: Path, seed: int) -> dict[str, str]:
    from rtsynth import __version__

    return {"software": f"rtsynth {__version__}", "comment": f"codec {path.name}, seed {seed}"}
