"""One recording to one file of events: what `codec encode` does, here or in another process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsynth.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtsynth.codec.storage import EventFile
    from rtsynth.io.audio_blocks import AudioBlocks

SCHEMES = ("auto", "retarget", "strike", "article")
CLIPPED_SHARE = 1e-3  # of the samples, at full scale, that are worth a warning
JUDGED = 60.0  # seconds of a recording by which "auto" chooses

Update = Callable[[float], None]


@dataclass(frozen=True)
class Wish:
    """How a recording is to be encoded."""

    events_per_second: float = 30.0  # of retargets
    coding: str = "file-59"
    scheme: str = "auto"
    refine: bool = False
    model: Path | None = None  # of the article's scheme; else the shipped one


@dataclass(frozen=True)
class Encoded:
    """What became of a recording."""

    out: Path
    file: EventFile
    size: int  # bytes
    took: float  # seconds
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        from rtsynth.codec.info import summary

        return {
            "path": str(self.out),
            "took": self.took,
            "bytes": self.size,
            **summary(self.file, self.size),
        }


def wish(
    events_per_second: float | None,
    rate_kbps: float | None,
    coding: str,
    scheme: str,
    refine: bool,
    model: Path | None = None,
) -> Wish:
    """From flags; UsageError for what does not go together."""
    from rtsynth.codec.coding import FLOAT, names
    from rtsynth.codec.encoder import EVENTS_PER_SECOND, FEWEST, MOST
    from rtsynth.codec.quantiser import Quantiser

    if coding not in names():
        raise UsageError(f"--coding {coding}: there is {', '.join(names())}")
    if refine and scheme in ("strike", "article"):
        raise UsageError(f"--refine is for retargets: leave it or --scheme {scheme} out")
    if model is not None and scheme != "article":
        raise UsageError("--model is of --scheme article, whose events only its own generator plays")
    if scheme == "article" and not (events_per_second is None and rate_kbps is None):
        raise UsageError("--scheme article finds as many events as it finds: leave the rate out")
    if events_per_second is not None and rate_kbps is not None:
        raise UsageError("--events-per-second and --rate-kbps say the same: leave one out")
    if rate_kbps is not None:
        if coding == FLOAT:
            raise UsageError("--rate-kbps needs a coding with bits: leave --coding float out")
        events_per_second = 1e3 * rate_kbps / Quantiser.load(coding).bits
    density = EVENTS_PER_SECOND if events_per_second is None else events_per_second
    if not FEWEST <= density <= MOST:
        raise UsageError(
            f"encode takes {FEWEST:g} to {MOST:g} events a second, not {density:.3g}. Leave it out for "
            f"{EVENTS_PER_SECOND:g}"
        )
    return Wish(density, coding, scheme, refine, model)


def encode_recording(
    recording: Path, out: Path, asked: Wish, force: bool = False, update: Update = lambda share: None
) -> Encoded:
    """Encode and write; what was written is read again. Raises InputError and UsageError."""
    from rtsynth.codec.storage import EventFile, read_events, write_events
    from rtsynth.io.audio_blocks import AudioBlocks

    start = time.perf_counter()
    blocks = AudioBlocks(recording)
    scheme = asked.scheme if asked.scheme != "auto" else _suits(blocks)
    encode = {"strike": _strikes, "article": _by_article}.get(scheme, _retargets)
    events = encode(blocks, asked, update)
    warnings = []
    if blocks.clipped > CLIPPED_SHARE * blocks.read * blocks.channels:
        warnings.append(
            f"{recording}: the recording is clipped ({blocks.clipped} samples at full scale), and is encoded so. "
            "Record it again at a lower level"
        )
    file = EventFile(events, round(blocks.rate), blocks.read, scheme)
    size = write_events(out, file, asked.coding, force)
    return Encoded(out, read_events(out), size, time.perf_counter() - start, warnings)


def _suits(blocks: AudioBlocks) -> str:
    """The scheme for a recording, by its first minute."""
    from rtsynth.codec.choice import is_struck
    from rtsynth.io.audio_files import read_audio

    samples, rate = read_audio(blocks.path, JUDGED)
    return "strike" if is_struck(_louder(samples), rate) else "retarget"


def _louder(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, C) → (n,): one channel. A piano's mean would lose partials that reach its microphones in opposite phases."""
    return samples[:, int((samples**2).sum(axis=0).argmax())]


def _retargets(blocks: AudioBlocks, asked: Wish, update: Update) -> NDArray[np.void]:
    """In bounded memory, but for the refinement, which has the whole sound before it."""
    import numpy as np

    from rtsynth.codec.encoder import encode_blocks

    part, pieces = (0.02 if asked.refine else 1.0), []
    for piece in encode_blocks(blocks, blocks.rate, events_per_second=asked.events_per_second):
        pieces.append(piece)
        update(part * blocks.share)
    events = np.concatenate(pieces)
    return _refined(blocks, events, asked, update) if asked.refine and len(events) else events


def _refined(blocks: AudioBlocks, events: NDArray[np.void], asked: Wish, update: Update) -> NDArray[np.void]:
    import numpy as np

    from rtsynth.cli.export import need_torch
    from rtsynth.codec.coding import FLOAT
    from rtsynth.codec.quantiser import Quantiser

    need_torch()
    from rtsynth.training.refine import refine

    return refine(
        np.concatenate(list(blocks)),
        blocks.rate,
        events,
        quantiser=None if asked.coding == FLOAT else Quantiser.load(asked.coding),
        progress=update,
    )


def _strikes(blocks: AudioBlocks, asked: Wish, update: Update) -> NDArray[np.void]:
    import numpy as np

    from rtsynth.codec.strikes import encode_strikes

    return encode_strikes(_louder(np.concatenate(list(blocks))), blocks.rate, progress=update)


def _by_article(blocks: AudioBlocks, asked: Wish, update: Update) -> NDArray[np.void]:
    """By the published scheme's model: 32 steps a half window. Read twice, for the peak is given to it as 1."""
    import numpy as np

    from rtsynth.codec.article import SILENT, ArticleCodec, shipped
    from rtsynth.codec.event import EVENT

    codec = ArticleCodec.load(asked.model or shipped())
    peak = max(
        (float(np.abs(part).max(initial=0.0)) for part in _at_rate(blocks, codec.scheme.rate)), default=0.0
    )
    if peak < SILENT:
        return np.zeros(0, EVENT)
    stream, found = codec.stream(level=peak), []
    for part in _at_rate(blocks, codec.scheme.rate):
        found.append(stream.push(part))
        update(blocks.share)
    return np.concatenate([*found, stream.finish()])


def _at_rate(blocks: AudioBlocks, rate: int) -> Iterator[NDArray[np.float32]]:
    """One channel at another rate, part by part."""
    import numpy as np
    import soxr

    stream = soxr.ResampleStream(blocks.rate, rate, 1, dtype="float32", quality="VHQ")
    for block in blocks:
        yield stream.resample_chunk(block.mean(axis=1).astype(np.float32))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
