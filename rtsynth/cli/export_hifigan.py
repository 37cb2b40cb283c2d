"""`rtsynth export hifigan`: a generator's checkpoint, in its authors' format, as a vocoder that streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, Runs, Seed, Tolerance, need_torch
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit, say
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.training.hifigan_export import Exported


def hifigan(
    checkpoint: Annotated[Path, Parameter(help="generator_v1, g_02500000, …: read without running it.")],
    /,
    *,
    config: Annotated[Path, Parameter(help="The config.json that it was trained by.")],
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="The vocoder, an .onnx file.")],
    frames: Annotated[int, Parameter(help="Mel frames a step: more are cheaper, and later.")] = 4,
    tolerance: Tolerance = 1e-4,
    runs: Runs = 8,
    seed: Seed = 1,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Export a HiFi-GAN generator for `rtsynth vocode` and `rtsynth live vocoder`: a stream, equal to the whole."""
    if not tolerance > 0.0 or runs < 1 or seed < 0 or not 1 <= frames <= 256:
        raise UsageError(
            "export hifigan takes --frames 1 to 256, --tolerance above 0, --runs from 1 and --seed from 0"
        )
    need_torch()
    from rtsynth.training.hifigan_export import export_hifigan
    from rtsynth.training.stepping import check_onnx
    from rtsynth.vocoder.hifigan import read_config

    check_onnx(out, force)
    settings = read_config(config)
    with progress("Comparing the stream with the whole", talk) as update:
        exported = export_hifigan(
            checkpoint,
            settings,
            out,
            frames=frames,
            tolerance=tolerance,
            runs=runs,
            seed=seed,
            progress=update,
        )
    _tell(exported, talk)
    return 0


def _tell(exported: Exported, talk: Talk) -> None:
    found = exported.as_dict()
    if talk.json:
        emit(found)
        return
    milliseconds = 1e3 * found["latency"] / found["sample_rate"]
    rows = [
        ("frames", f"{found['frames']} a step, of {found['hop']} samples at {found['sample_rate']:g} Hz"),
        ("latency", f"{found['latency']} samples ({milliseconds:.1f} ms) from a frame to its sound"),
        ("weights", f"{found['parameters']}, weight norm folded in"),
        ("states", f"{found['states']}, {found['state_bytes'] / 1024:.0f} KiB"),
        (
            "stream",
            f"{found['error']:.1e} from the whole, both edges too, worst of {found['runs']} utterances",
        ),
        ("file", f"{found['bytes'] / 1e6:.1f} MB"),
    ]
    say(talk, columns(rows))
    print(exported.path)
