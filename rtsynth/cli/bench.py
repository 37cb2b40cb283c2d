"""`rtsynth bench`: what the blocks of each source take against their length, beside an empty engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli import INTERRUPTED
from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, AudioIn, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import DeviceError, RateError, ThresholdError, UsageError

if TYPE_CHECKING:
    from rtsynth.cli.bench_document import Asked, Document
    from rtsynth.engine.latency import Load

LONGEST_BLOCK = 65536
DEVICES = ("cpu", "cuda")
FILE_PREFIX = "file:"

Source = Annotated[
    str, Parameter(name="SOURCE", help="PRESET[:VOICES], gp, thru, drive, MODEL.onnx; else what ships.")
]
Blocks = Annotated[str, Parameter(help="Samples, with commas between them.")]
Devices = Annotated[str, Parameter(help="cpu, cuda, or both with a comma between them.")]
Seconds = Annotated[
    float, Parameter(help="Of each source at each block and device, and as long for the control.")
]
Report = Annotated[Path | None, Parameter(help="A page with tables and histograms.")]
Compare = Annotated[Path | None, Parameter(help="An older result (--json): what got slower since.")]
Share = Annotated[
    float | None,
    Parameter(help="End with 6 where p99 of the wall time is more than this share of the block."),
]
Manifest = Annotated[str | None, Parameter(help="The models' description, where there is none beside them.")]


def bench(
    *sources: Source,
    block: Blocks = "32,64,128,256,512",
    rate: Annotated[float, Parameter(help="Sample rate in Hz.")] = 48000.0,
    device: Devices = "cpu",
    seconds: Seconds = 6.0,
    manifest: Manifest = None,
    audio_in: AudioIn = None,
    report: Report = None,
    compare: Compare = None,
    max_p99_share: Share = None,
    force: Annotated[bool, Parameter(name=["--force", "-f"], show_default=False, help="Overwrite.")] = False,
    talk: Talk = TALK,
) -> int:
    """Measure every block on the null driver, in turns with an empty engine (docs/latency.md); Ctrl-C: so far."""
    from rtsynth.cli import bench_document
    from rtsynth.cli.bench_sources import Ears, loads
    from rtsynth.cli.bench_text import tell
    from rtsynth.engine import comparison

    if seconds <= 0 or (max_p99_share is not None and max_p99_share <= 0):
        raise UsageError("bench takes --seconds and --max-p99-share above 0")
    blocks, devices = _blocks(block), _devices(device)
    if report is not None:
        from rtsynth.cli.page import check_page

        check_page(report, force)
    older = None if compare is None else bench_document.read(compare)
    chosen = loads(sources, devices, Ears(_file(audio_in)), manifest)
    names = list(dict.fromkeys(load.source for load in chosen))
    asked = bench_document.Asked(names, blocks, devices, rate, seconds)
    document = _measure(chosen, asked, talk)
    changes = None if older is None else comparison.compare(older.rows, document.rows)
    if talk.json:
        emit(bench_document.written(document, changes))
    else:
        tell(document, older, changes)
    if report is not None and (document.rows or document.unmeasured):
        from rtsynth.cli.bench_page import write_report

        write_report(report, document, changes)
        say(talk, f"Report: {report}")
    return _conclude(document, max_p99_share)


def _blocks(text: str) -> list[int]:
    try:
        blocks = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--block {text}: numbers with commas between them, e.g. 64,256") from None
    for block in blocks:
        if not 1 <= block <= LONGEST_BLOCK:
            raise RateError(f"a block of {block} samples: want 1 to {LONGEST_BLOCK}, e.g. --block 64,256")
    return sorted(set(blocks))


def _devices(text: str) -> list[str]:
    devices = text.split(",")
    for device in devices:
        if device not in DEVICES:
            raise UsageError(f"--device {text}: want cpu, cuda or cpu,cuda")
    return sorted(set(devices))


def _file(audio_in: str | None) -> str | None:
    if audio_in is None:
        return None
    if not audio_in.startswith(FILE_PREFIX):
        raise UsageError(f"bench hears files alone: --audio-in file:{audio_in}, or leave it out")
    return audio_in.removeprefix(FILE_PREFIX)


def _measure(chosen: Sequence[Load], asked: Asked, talk: Talk) -> Document:
    """Every row, or those there was time for."""
    from rtsynth.cli.bench_document import Document
    from rtsynth.cli.loading import announce_compiling
    from rtsynth.cli.performing import stop_signals
    from rtsynth.engine import machine
    from rtsynth.engine.latency import seconds_of, survey

    count = len(asked.blocks) * sum(load.refusal is None for load in chosen)
    minutes = count * seconds_of(asked.seconds) / 60
    if count:
        say(talk, f"{count} rows: about {minutes:.1f} min. Ctrl-C ends it with what there is by then")
        announce_compiling(talk)
    facts, before = machine.facts(), machine.stolen()
    with stop_signals() as stop, progress("Measuring", talk) as update:
        rows, unmeasured = survey(chosen, asked.blocks, asked.rate, asked.seconds, stop, update)
    facts["stolen_percent"] = machine.stolen_percent(before, machine.stolen())
    return Document(asked, facts, rows, unmeasured, interrupted=stop.is_set())


def _conclude(document: Document, max_p99_share: float | None) -> int:
    from rtsynth.engine.verdict import beyond_share

    if document.interrupted:
        return INTERRUPTED
    if document.asked.devices == ["cuda"] and not document.rows:
        raise DeviceError(f"nothing could be measured: {document.unmeasured[0].why}")
    beyond = [] if max_p99_share is None else beyond_share(document.rows, max_p99_share)
    if beyond:
        raise ThresholdError(f"p99 is above {max_p99_share:g} of the time there is: {'; '.join(beyond)}")
    return 0
