"""A module that makes one step, to an ONNX file that `rtsynth.sequence.network` runs; compared before it is written.

The module: `forward(*inputs, *states) -> (*outputs, *states)`, batch 1, every shape fixed, states beginning as zeros.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtsynth.errors import InputError, ThresholdError, UsageError
from rtsynth.inference.session import one_line
from rtsynth.sequence.network import CARD, KIND, MARK, SETTINGS, StepNetwork
from rtsynth.target import check_target
from rtsynth.training.export import CHANCE, OPSET

Array = NDArray[Any]
Shapes = Mapping[str, Sequence[int] | Tensor]  # a tensor: an example, for its shape and type
Feed = Callable[[np.random.Generator], dict[str, Array]]  # inputs of one step, by name
STEPS, TOLERANCE = 128, 1e-5


def check_onnx(path: Path, force: bool) -> None:
    """Before long work: can this .onnx file be written? UsageError, InputError."""
    if path.suffix != ".onnx":
        raise UsageError(f"{path}: a network is an .onnx file: -o {path.with_suffix('.onnx')}")
    check_target(path, force)


def export_step(
    module: nn.Module,
    path: Path,
    inputs: Shapes,
    states: Shapes,
    kind: str,
    settings: Mapping[str, Any],
    card: str,
    *,
    outputs: Sequence[str] = ("out",),
    feed: Feed | None = None,
    whole: Callable[[list[Tensor]], Sequence[Tensor]] | None = None,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
) -> float:
    """Write `path`; the largest difference between the file and the module over `steps` steps, relative to the peak.

    feed: draws one step's inputs, else Gaussian. whole: inputs as (steps, *shape) -> outputs likewise, the module
    unrolled by a faster path; without it, step after step. A file that differs by more is not written: ThresholdError.
    """
    module = module.eval()
    examples = {name: _example(shape) for name, shape in {**inputs, **states}.items()}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        network = Path(folder) / path.name
        _convert(module, examples, [*outputs, *(name + MARK for name in states)], network)
        _describe(network, {KIND: kind, SETTINGS: json.dumps(dict(settings)), CARD: card})
        fed = list(_fed(examples, inputs, feed, steps))
        said = _answers(network, fed)
        meant = _unrolled(module, examples, list(inputs), outputs, fed, whole)
        error = max(_difference(said[name], meant[name]) for name in outputs)
        if not error <= tolerance:
            raise ThresholdError(
                f"the exported step differs from the module by {error:.1e} of the peak over {steps} steps; "
                f"{tolerance:.0e} is allowed. {path} was not written"
            )
        os.replace(network, path)
    return error


def _example(shape: Sequence[int] | Tensor) -> Tensor:
    return torch.zeros_like(shape) if isinstance(shape, Tensor) else torch.zeros(*shape)


def _convert(module: nn.Module, examples: dict[str, Tensor], outputs: list[str], network: Path) -> None:
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter's age, and of sizes that become constants
            torch.onnx.export(
                module,
                tuple(examples.values()),
                str(network),
                input_names=list(examples),
                output_names=outputs,
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's own classes derive from nothing narrower
        cause = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(f"{type(module).__name__} cannot be converted to ONNX: {cause}") from error


def _describe(network: Path, metadata: dict[str, str]) -> None:
    """The graph checked, without what only its making needed, and told what it is."""
    graph = onnx.load(str(network))
    chance = sorted({node.op_type for node in graph.graph.node} & CHANCE)
    if chance:
        raise ThresholdError(
            f"the graph holds {', '.join(chance)}: draws are given to a step, not made in it"
        )
    for node in graph.graph.node:
        node.doc_string = ""
    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(network))


def _fed(
    examples: dict[str, Tensor], inputs: Shapes, feed: Feed | None, steps: int
) -> Iterator[dict[str, Array]]:
    rng = np.random.default_rng(1)
    for _ in range(steps):
        drawn = feed(rng) if feed else {name: rng.standard_normal(examples[name].shape) for name in inputs}
        yield {
            name: np.asarray(drawn[name]).astype(examples[name].numpy().dtype).reshape(examples[name].shape)
            for name in inputs
        }


def _answers(network: Path, fed: list[dict[str, Array]]) -> dict[str, Array]:
    """Outputs of the file, (steps, *shape)."""
    runner = StepNetwork(network)
    said = [runner.step(**one) for one in fed]
    return {name: np.stack([one[name] for one in said]) for name in said[0]}


@torch.no_grad()
def _unrolled(
    module: nn.Module,
    examples: dict[str, Tensor],
    inputs: list[str],
    outputs: Sequence[str],
    fed: list[dict[str, Array]],
    whole: Callable[[list[Tensor]], Sequence[Tensor]] | None,
) -> dict[str, Array]:
    """Outputs of the module, (steps, *shape)."""
    if whole is not None:
        meant = whole([torch.from_numpy(np.stack([one[name] for one in fed])) for name in inputs])
        return {name: out.numpy() for name, out in zip(outputs, meant, strict=True)}
    states = [example for name, example in examples.items() if name not in inputs]
    parts = []
    for one in fed:
        said = module(*(torch.from_numpy(one[name]) for name in inputs), *states)
        states = list(said[len(outputs) :])
        parts.append(said[: len(outputs)])
    return {name: torch.stack([part[n] for part in parts]).numpy() for n, name in enumerate(outputs)}


def _difference(said: Array, meant: Array) -> float:
    """max |Δ|, relative to the peak where that exceeds 1."""
    if said.shape != meant.shape:
        raise InputError(f"whole gives {meant.shape} where the steps give {said.shape}")
    return float(np.abs(said - meant).max() / max(1.0, float(np.abs(meant).max())))
