"""`rtsynth export codec`: what `rtsynth train codec` made, of either scheme, to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, Out, Seed, need_torch, tell
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit, say
from rtsynth.errors import UsageError


def codec(
    checkpoint: Annotated[Path, Parameter(help="What `rtsynth train codec` wrote.")],
    /,
    *,
    out: Out,
    tolerance: Annotated[
        float | None,
        Parameter(help="Most that graph and module may differ by; else 1e-5, of an article's 1e-4."),
    ] = None,
    runs: Annotated[int, Parameter(help="Random chunkings, or of an article's residuals, tried.")] = 25,
    seed: Seed = 1,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Export what was trained: a live encoder, for rtsynth live codec; or the published scheme's two networks.

    Which of them a checkpoint is of, it says itself.
    """
    if (tolerance is not None and not tolerance > 0.0) or runs < 1 or seed < 0:
        raise UsageError("export takes --tolerance above 0, --runs from 1 and --seed from 0")
    need_torch()
    from rtsynth.training.article_training import is_article

    export = _article if is_article(checkpoint) else _live
    return export(checkpoint, out, tolerance, runs, seed, force, talk)


def _live(
    checkpoint: Path, out: Path, tolerance: float | None, runs: int, seed: int, force: bool, talk: Talk
) -> int:
    from rtsynth.training.codec import load_network
    from rtsynth.training.export import TOLERANCE, check_out, export_module

    check_out(out, force)
    network = load_network(checkpoint)
    with progress("Comparing the stream with the whole", talk) as update:
        exported = export_module(
            network, "codec", out, tolerance=tolerance or TOLERANCE, runs=runs, seed=seed, progress=update
        )
    tell(exported, talk)
    return 0


def _article(
    checkpoint: Path, out: Path, tolerance: float | None, runs: int, seed: int, force: bool, talk: Talk
) -> int:
    from rtsynth.codec.article import GENERATOR
    from rtsynth.target import check_target
    from rtsynth.training.article_export import TOLERANCE, export
    from rtsynth.training.article_training import Training, card
    from rtsynth.training.export import check_out

    check_out(out, force)
    check_target(out.with_suffix(GENERATOR), force)
    training = Training.load(checkpoint)
    written = export(
        training.model, out, card=card(training), tolerance=tolerance or TOLERANCE, runs=runs, seed=seed
    )
    facts = written.as_dict()
    if talk.json:
        emit(facts)
        return 0
    rows = [
        ("generator", str(written.generator)),
        ("rate", f"{facts['sample_rate']} Hz"),
        ("latency", f"{facts['latency']} samples"),
        ("graphs", f"{facts['error']:.1e} of the largest number from the modules, worst of {runs} runs"),
        ("files", f"{facts['bytes'] / 1000:.0f} kB"),
    ]
    say(talk, columns(rows))
    print(out)
    return 0
