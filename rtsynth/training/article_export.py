"""The article's model to two ONNX files, the encoder's step and the generator; the loop stays outside of the graphs.

Weights are rounded to half precision and stored so, cast when a session is opened: half the size, and since the model
that is compared is rounded too, no difference. Nothing is written unless both graphs, run, say what the modules say.
"""

from __future__ import annotations

import copy
import hashlib
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rtsynth.codec.article import GENERATOR, METADATA, Exported
from rtsynth.codec.article_windows import Scheme
from rtsynth.errors import ThresholdError
from rtsynth.training import article_fourier
from rtsynth.training.article import DIMENSIONS, Size, pick
from rtsynth.training.article_model import Article, Networks
from rtsynth.training.halving import halve

OPSET = 17
TOLERANCE = 1e-4  # of the largest number
SMALLEST = 64  # numbers of a table that is worth a cast


class Pick(nn.Module):
    """An encoder's step: residual (1, bins, frames), free (1, frames) -> frame, amplitude (1, 1), vector (1, 1, 32)"""

    def __init__(self, model: Article) -> None:
        super().__init__()
        self.encoder = model.encoder

    def forward(self, residual: Tensor, free: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vectors, switch = self.encoder(residual)
        return pick(vectors, switch, free)


@dataclass(frozen=True)
class Written:
    encoder: Path
    generator: Path
    error: float  # the largest of what was compared, of its largest number
    scheme: Scheme

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "path": str(self.encoder),
            "generator": str(self.generator),
            "bytes": self.encoder.stat().st_size + self.generator.stat().st_size,
            "error": self.error,
            "sample_rate": self.scheme.rate,
            "latency": self.scheme.latency,
            "mended": self.scheme.mended,
            "card": self.scheme.card,
        }


def export(
    model: Article,
    out: Path,
    *,
    card: str = "",
    tolerance: float = TOLERANCE,
    runs: int = 8,
    seed: int = 1,
) -> Written:
    """`out`, an .onnx file, and the generator's beside it. Raises ThresholdError where a graph says something else."""
    model = rounded(model)
    generator = out.with_suffix(GENERATOR)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        made = Path(folder) / out.name, Path(folder) / generator.name
        write(model, *made)
        described = scheme(model.size, hashlib.sha256(made[1].read_bytes()).hexdigest(), card)
        _describe(made[0], described)
        error = parity(model, *made, runs, seed)
        if error > tolerance:
            raise ThresholdError(
                f"{out} is not written: a graph differs by {error:.1e} from its module, more than {tolerance:g}. "
                "Allow it with --tolerance"
            )
        for found, path in zip(made, (out, generator), strict=True):
            os.replace(found, path)
    return Written(out, generator, error, described)


def rounded(model: Article) -> Article:
    """A copy in evaluation mode, weight norms folded, weights as half precision has them."""
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    return model.requires_grad_(False)


def write(model: Article, encoder: Path, generator: Path) -> None:
    size = model.size
    residual, free = torch.zeros(1, size.bins, size.frames), torch.ones(1, size.frames)
    _convert(Pick(model), (residual, free), encoder, ("residual", "free"), ("frame", "amplitude", "vector"))
    sounding = copy.copy(model.generator)
    sounding.fourier = article_fourier.Exported()
    given = torch.ones(1, DIMENSIONS), torch.ones(1, size.burst)
    _convert(sounding, given, generator, ("vectors", "noise"), ("waves", "shifts"))


def scheme(size: Size, generator: str, card: str = "") -> Scheme:
    fields = {name: getattr(size, name) for name in Scheme.__struct_fields__ if hasattr(size, name)}
    return Scheme(schema=1, generator=generator, card=card, **fields)


def parity(model: Article, encoder: Path, generator: Path, runs: int, seed: int) -> float:
    """The largest difference between graphs and modules, over random residuals and vectors, of the largest number."""
    size, rng, largest = model.size, np.random.default_rng(seed), 0.0
    graphs, modules = Exported(encoder, generator), Networks(model)
    for _ in range(runs):
        residual = 0.1 * rng.standard_normal((size.bins, size.frames), np.float32)
        free = (rng.random(size.frames) < 0.5).astype(np.float32)
        noise = 2.0 * rng.random(size.burst, np.float32) - 1.0
        said, meant = (n.pick(residual, free) for n in (graphs, modules))
        if said[0] != meant[0]:
            return 1.0
        sounds = [n.generate(meant[2], noise) for n in (graphs, modules)]
        pairs = zip([*said[1:], *sounds[0]], [*meant[1:], *sounds[1]], strict=True)
        largest = max(largest, *(_difference(np.asarray(a), np.asarray(b)) for a, b in pairs))
    return largest


def _difference(said: np.ndarray, meant: np.ndarray) -> float:
    return float(np.abs(said - meant).max() / max(np.abs(meant).max(), 1e-6))


def _convert(module: nn.Module, given: tuple[Tensor, ...], path: Path, inputs: tuple, outputs: tuple) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's age, and of sizes that become constants
        torch.onnx.export(
            module.eval(),
            given,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=False,  # it would fold what is computed from small numbers into large ones
        )
    graph = onnx.load(str(path))
    for node in graph.graph.node:
        node.doc_string = ""
    halve(graph, SMALLEST)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(path))


def _describe(path: Path, described: Scheme) -> None:
    graph = onnx.load(str(path))
    onnx.helper.set_model_props(graph, {METADATA: msgspec.json.encode(described).decode()})
    onnx.save(graph, str(path))
