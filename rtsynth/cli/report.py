"""`rtsynth report`: a recording as events on one page, to hear, to see and to walk through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import InputError, RtsynthError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from rtsynth.cli.report_data import Stream
    from rtsynth.codec.event import Events
    from rtsynth.codec.storage import EventFile

Scheme = Literal["retarget", "strike", "article"]

LONGEST = 30.0  # seconds of a recording on a page, unless others are asked for
MOST_EVENTS = 3000  # on a page
LOWEST_RATE, HIGHEST_RATE = 8000.0, 48000.0  # hertz of a page's sounds
APART = 0.05  # seconds by which a recording and its events may differ in length
ENCODERS = {
    "retarget": "One voice whose pitch, envelope and noise glide from event to event.",
    "strike": "Damped modes and bursts of noise, struck at the onsets.",
    "article": "The published scheme: 32 times a half window the strongest event, taken off what is left.",
}
LIVE, NONE = "codec", "none"  # the live encoder that ships; no live encoder


class Heard(NamedTuple):
    """The recording, or its beginning."""

    samples: NDArray[np.float64]  # (N,)
    rate: float  # hertz
    whole: bool

    @property
    def seconds(self) -> float:
        return self.samples.size / self.rate


class Player(NamedTuple):
    """What plays a scheme's events, and where there is only one, what makes them."""

    render: Callable[[Events, float, float], NDArray[Any]]  # events, hertz, seconds -> (N,)
    rate: float | None  # hertz, where it has one of its own
    encode: Callable[[Heard], Events] | None


def report(
    recording: Annotated[
        Path, Parameter(help="A .wav, .flac, .ogg, .mp3, … file; its channels are averaged.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="The page: an .html file.")],
    scheme: Annotated[
        Scheme, Parameter(help="Events that glide one voice, that strike modes, or the published scheme's.")
    ] = "retarget",
    events: Annotated[
        Path | None, Parameter(help="Show this .events file of the recording, and encode nothing.")
    ] = None,
    events_per_second: Annotated[float, Parameter(help="5…60; gliding events only.")] = 30.0,
    coding: Annotated[
        str, Parameter(help="file-59, file-49, live-59, live-49 or float; gliding events only.")
    ] = "file-59",
    live: Annotated[
        str | None,
        Parameter(help="Stream by this live encoder, a name or file; none: no. Gliding events: by `codec`."),
    ] = None,
    seconds: Annotated[float, Parameter(help="How much of the recording, from its start.")] = LONGEST,
    seed: Annotated[int, Parameter(help="Of the decoder's noise, and of what is shuffled.")] = 1,
    force: Annotated[
        bool, Parameter(name=["--force", "-f"], show_default=False, help="Overwrite a file that is there.")
    ] = False,
    talk: Talk = TALK,
) -> int:
    """Encode a recording, and write a page that plays: its sound, its events, what they leave. It needs no network."""
    from rtsynth.cli.loading import announce_compiling
    from rtsynth.cli.report_data import Coded
    from rtsynth.cli.report_page import make_page
    from rtsynth.codec.coding import names
    from rtsynth.codec.info import summary
    from rtsynth.codec.storage import read_events
    from rtsynth.target import check_target

    if not seconds > 0.0 or seed < 0:
        raise UsageError("report takes --seconds above 0 and --seed from 0")
    if coding not in names():
        raise UsageError(f"--coding {coding}: there is {', '.join(names())}")
    _need_extra()
    check_target(out, force)
    given = None if events is None else read_events(events)
    scheme = scheme if given is None else _scheme_of(given)
    player = _player(scheme, seed)
    heard = _heard(recording, seconds, player.rate)
    announce_compiling(talk)
    with progress(f"Encoding {recording.name}", talk):
        if given is None or events is None:
            file = _encoded(heard, scheme, player, events_per_second, coding)
        else:
            file = _shown(given, events, heard)
        stream = _streamed(live or _usual(scheme), heard, seed)
    if len(file.events) > MOST_EVENTS:
        raise UsageError(
            f"{len(file.events)} events are too many for one page of at most {MOST_EVENTS}. "
            f"Try --seconds {heard.seconds * MOST_EVENTS / len(file.events):.0f}"
        )
    coded = Coded(
        name=recording.name,
        original=heard.samples,
        rate=heard.rate,
        file=file,
        render=lambda some, length: player.render(some, heard.rate, length),
        encoder=ENCODERS[scheme] if events is None else f"The events are those of {events.name}.",
        live=stream,
        notes=() if heard.whole else (f"Only the first {heard.seconds:g} s of the recording.",),
        seed=seed,
    )
    with progress(f"Writing {out.name}", talk) as update:
        page = make_page(coded, update)
    _write(out, page)
    found = summary(file, 0)
    say(
        talk, f"{found['events']} events, {found['bits_per_second'] / 1e3:.2f} kb/s, {len(page) / 1e6:.1f} MB"
    )
    if talk.json:
        emit({"path": str(out), "bytes": out.stat().st_size, **found})
    else:
        print(out)
    return 0


def _need_extra() -> None:
    """RtsynthError, with what to install, where a page cannot be made."""
    try:
        import jinja2  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        raise RtsynthError(f"no {error.name}: pip install 'rtsynth[report]'") from None


def _scheme_of(file: EventFile) -> Scheme:
    """Whose events a file holds."""
    return file.scheme if file.scheme in ENCODERS else "retarget"  # type: ignore[return-value]


def _usual(scheme: Scheme) -> str:
    """The live encoder of a page that names none: it is of speech, and needs onnxruntime."""
    from importlib.util import find_spec

    return LIVE if scheme == "retarget" and find_spec("onnxruntime") else NONE


def _player(scheme: Scheme, seed: int) -> Player:
    """What plays the events of a scheme."""
    if scheme == "article":
        from rtsynth.codec.article import ArticleCodec, shipped

        codec = ArticleCodec.load(shipped(), seed=seed)
        rate = codec.scheme.rate
        return Player(
            lambda some, rate, seconds: codec.decode(codec.on_frames(some), round(seconds * rate)),
            rate,
            lambda heard: codec.encode(heard.samples.astype("float32"), rate),
        )
    from rtsynth.codec.decoder import render_events

    return Player(lambda some, rate, seconds: render_events(some, rate, seconds, seed), None, None)


def _heard(path: Path, seconds: float, rate_of_player: float | None = None) -> Heard:
    """The first `seconds` of a recording, one channel, at a rate that the decoder has."""
    import numpy as np
    import soxr

    from rtsynth.io.audio_files import read_audio

    channels, rate = read_audio(path, seconds + 1.0)
    mono = channels.mean(axis=1)
    count = round(seconds * rate)
    whole, mono = mono.size <= count, mono[:count]
    target = rate_of_player or float(np.clip(rate, LOWEST_RATE, HIGHEST_RATE))
    if rate != target:
        mono = soxr.resample(mono, rate, target)
    if not mono.size:
        raise InputError(f"{path} is too short for a page: it has {channels.shape[0]} samples")
    return Heard(mono, target, whole)


def _encoded(
    heard: Heard, scheme: Scheme, player: Player, events_per_second: float, coding: str
) -> EventFile:
    """Events as a file gives them back: quantised."""
    from rtsynth.codec.encoder import encode
    from rtsynth.codec.storage import EventFile, pack, unpack
    from rtsynth.codec.strikes import encode_strikes

    if player.encode is not None:
        found = player.encode(heard)
    elif scheme == "strike":
        found = encode_strikes(heard.samples, heard.rate)
    else:
        found = encode(heard.samples, heard.rate, events_per_second=events_per_second)
    return unpack(pack(EventFile(found, round(heard.rate), heard.samples.size, scheme), coding))


def _shown(file: EventFile, path: Path, heard: Heard) -> EventFile:
    """A file's events as far as the recording is shown; InputError where they are not this recording's."""
    from rtsynth.codec.decoder import check_playable
    from rtsynth.codec.storage import STEP

    if file.step != STEP:
        raise InputError(f"{path} has control steps of {file.step} s, and a page needs {STEP}")
    if file.scheme != "article":
        check_playable(file.events)
    if file.seconds < heard.seconds - APART or (heard.whole and file.seconds > heard.seconds + APART):
        raise InputError(
            f"{path} holds {file.seconds:.2f} s, and the recording {heard.seconds:.2f} s: give the one it was made from"
        )
    shown = file.events[file.events["time"] * float(STEP) < heard.seconds]
    payload = round(file.payload * len(shown) / max(1, len(file.events)))
    return replace(file, events=shown, rate=round(heard.rate), samples=heard.samples.size, payload=payload)


def _streamed(name: str, heard: Heard, seed: int) -> Stream | None:
    """What a live encoder makes of the recording; InputError for a model that answers with something else."""
    if name == NONE:
        return None
    import numpy as np
    import soxr

    from rtsynth.cli.report_data import Stream
    from rtsynth.codec.decoder import render_events
    from rtsynth.codec.live import encode_live
    from rtsynth.inference.manifest import load_manifest
    from rtsynth.inference.model import StreamingModel

    manifest = load_manifest(name)
    if manifest.answers != "records":
        raise InputError(f"{manifest.name} does not answer with events. Try: rtsynth live {name}")
    network = StreamingModel(manifest)
    samples = soxr.resample(heard.samples, heard.rate, network.sample_rate).astype(np.float32)
    events = encode_live(network, samples)
    latency = (network.frame + network.latency) / network.sample_rate
    sound = render_events(events, heard.rate, heard.seconds, seed).astype(np.float64)
    note = (
        f"{manifest.title or manifest.name} made these events as it heard the recording, unquantised, "
        f"and knows the {1e3 * latency:.0f} ms that follow an event's moment; a device's blocks add to that."
    )
    return Stream(events, sound, latency, note)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as problem:
        raise InputError(
            f"cannot write {path}: {problem.strerror}. Choose another place with -o"
        ) from problem
