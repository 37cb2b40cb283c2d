"""`rtsynth export`: a trained network as a streaming ONNX file, written only where the stream is the network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit, say
from rtsynth.errors import RtsynthError, UsageError

if TYPE_CHECKING:
    from rtsynth.training.export import Exported

TORCH = (
    "pip install torch --index-url https://download.pytorch.org/whl/cpu, then pip install 'rtsynth[train]'"
)

app = App(
    name="export", help="Export a trained network as a streaming ONNX file, once it is proved to stream."
)

app.command("rtsynth.cli.export_codec:codec", name="codec", help="Export what `rtsynth train codec` made.")
app.command(
    "rtsynth.cli.export_hifigan:hifigan", name="hifigan", help="A HiFi-GAN generator, to be streamed."
)

Out = Annotated[
    Path, Parameter(name=["--out", "-o"], help="The network, an .onnx file; its .toml goes beside it.")
]
Tolerance = Annotated[float, Parameter(help="Most that stream and whole may differ by, of the peak.")]
Runs = Annotated[int, Parameter(help="Random chunkings tried.")]
Seed = Annotated[int, Parameter(help="Of the test signals and the chunkings.")]
Force = Annotated[bool, Parameter(name=["--force", "-f"], show_default=False, help="Overwrite.")]


@app.command
def module(
    place: Annotated[str, Parameter(help="FILE.py:NAME, a torch module or what makes one (docs/export.md).")],
    checkpoint: Annotated[
        Path | None, Parameter(help="Its weights, a .pt file; loaded as weights only.")
    ] = None,
    /,
    *,
    out: Out,
    rate: Annotated[float | None, Parameter(help="Sample rate in Hz, where the module does not say.")] = None,
    tolerance: Tolerance = 1e-5,
    runs: Runs = 25,
    seed: Seed = 1,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Export a torch module of your own that answers frame by frame: forward(frame, *states) -> (out, *states)."""
    if not tolerance > 0.0 or runs < 1 or seed < 0:
        raise UsageError("export takes --tolerance above 0, --runs from 1 and --seed from 0")
    need_torch()
    from rtsynth.training.contract import find_module
    from rtsynth.training.export import check_out, export_module

    check_out(out, force)
    found = find_module(place, checkpoint)
    with progress("Comparing the stream with the whole", talk) as update:
        exported = export_module(
            found,
            place.rpartition(":")[2],
            out,
            sample_rate=rate,
            tolerance=tolerance,
            runs=runs,
            seed=seed,
            progress=update,
        )
    tell(exported, talk)
    return 0


def need_torch() -> None:
    """RtsynthError, with what to install, where training and export cannot run."""
    try:
        from rtsynth.training import contract, export  # noqa: F401
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "rtsynth":
            raise
        raise RtsynthError(f"no {error.name}: {TORCH}") from None


def tell(exported: Exported, talk: Talk) -> None:
    """What was written: its path on stdout, and for people what is known of it."""
    found = exported.as_dict()
    if talk.json:
        emit(found)
        return
    rows = [
        ("frame", f"{found['frame']} samples at {found['sample_rate']:g} Hz"),
        ("latency", f"{found['latency']} samples"),
        ("hears", f"{_span(found['receptive_field'], 'back')}, {found['lookahead']} samples ahead"),
        ("rings", f"{_span(found['tail'], 'after the input')}"),
        ("silence", f"answered at {_decibels(found['idle'])}"),
        ("states", ", ".join(f"{name} {tuple(shape)}" for name, shape in found["states"].items()) or "none"),
        ("stream", f"{found['error']:.1e} of the peak from the whole, worst of {found['runs']} chunkings"),
        ("file", f"{found['bytes'] / 1000:.0f} kB, opset {found['opset']}"),
    ]
    say(talk, columns(rows))
    print(exported.path)


def _decibels(level: float) -> str:
    return f"{20.0 * math.log10(level):.0f} dBFS" if level > 0.0 else "silence"


def _span(samples: int | None, where: str) -> str:
    return f"more samples {where} than were looked at" if samples is None else f"{samples} samples {where}"
