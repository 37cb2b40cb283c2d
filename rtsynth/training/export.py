"""A streaming module to an ONNX file and its manifest; written only where the file, run live, is the module run whole.

The exporter is torch's older one (`dynamo=False`): it writes opset 17, which every runtime reads, takes 0.1 s and needs
`onnx` alone. The newer one begins at opset 18, needs onnxscript and takes 3.6 s; the graphs are alike.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

import rtsynth
from rtsynth.errors import InputError, UsageError
from rtsynth.inference.manifest import METADATA, load_manifest
from rtsynth.inference.schema import SCHEMA, Manifest
from rtsynth.target import check_target
from rtsynth.training.contract import Streamed, streamed
from rtsynth.training.halving import halve
from rtsynth.training.measuring import Facts, measure, refusal
from rtsynth.training.parity import Parity, check

OPSET = 17
SOUND = ("frame", "out")  # tensors
CHANCE = {
    "Dropout",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
}
TEXTS = (
    "title",
    "description",
    "licence",
    "credit",
    "card",
    "answers",
)  # of the manifest, taken from the module where it has them
TOLERANCE, RUNS = 1e-5, 25

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Exported:
    """What was written, and what is known of it."""

    path: Path
    manifest: Manifest
    facts: Facts
    parity: Parity

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        shapes = {state.input: list(state.shape or ()) for state in self.manifest.states or ()}
        return {
            "path": str(self.path),
            "manifest": str(self.path.with_suffix(".toml")),
            "bytes": self.path.stat().st_size,
            "sample_rate": self.manifest.sample_rate,
            "frame": self.manifest.frame,
            "channels": self.manifest.channels,
            **asdict(self.facts),
            **asdict(self.parity),
            "states": shapes,
            "opset": self.manifest.opset,
            "sha256": self.manifest.sha256,
        }


def check_out(out: Path, force: bool) -> None:
    """Before long work: can out, an .onnx file, and the manifest beside it be written? UsageError, InputError."""
    if out.suffix != ".onnx":
        raise UsageError(f"{out}: a network is an .onnx file: -o {out.with_suffix('.onnx')}")
    for path in (out, out.with_suffix(".toml")):
        check_target(path, force)


def export_module(
    module: nn.Module,
    name: str,
    out: Path,
    *,
    sample_rate: float | None = None,
    tolerance: float = TOLERANCE,
    runs: int = RUNS,
    seed: int = 1,
    progress: Progress | None = None,
) -> Exported:
    """Measure, convert, compare, and only then write `out` and its .toml.

    Raises InputError where the module breaks the contract or cannot be converted, ThresholdError where it is no stream.
    """
    model = streamed(module, name, sample_rate)
    facts = measure(model, tolerance, seed)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as folder:
        network = Path(folder) / out.name
        stated = _manifest(model, facts, out)
        _convert(model, network)
        _write_manifest(stated, network)
        parity = check(model, load_manifest(network), tolerance, runs, seed, progress)
        stated |= {"export": _record(parity)}
        _add_metadata(network, stated)
        stated |= {"sha256": hashlib.sha256(network.read_bytes()).hexdigest()}
        _write_manifest(stated, network)
        load_manifest(network)
        for path in (network, network.with_suffix(".toml")):
            os.replace(path, out.with_suffix(path.suffix))
    return Exported(out, load_manifest(out), facts, parity)


# --- the network ------------------------------------------------------------------------------------------------------


def _convert(model: Streamed, network: Path) -> None:
    states = model.initial_states()
    names = [SOUND[0], *model.states], [SOUND[1], *(f"{state}_out" for state in model.states)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's age, and of sizes that become constants
            torch.onnx.export(
                model.module,
                (torch.zeros(1, 1, model.frame), *states),
                str(network),
                input_names=names[0],
                output_names=names[1],
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's own classes derive from nothing narrower
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"{model.name} cannot be converted to ONNX: {type(error).__name__}: {cause}"
        ) from error
    _tidy(model, network)


def _tidy(model: Streamed, network: Path) -> None:
    """The graph checked, and without what only its making needed."""
    graph = onnx.load(str(network))
    chance = sorted({node.op_type for node in graph.graph.node} & CHANCE)
    if chance:
        raise refusal(model, f"its graph holds {', '.join(chance)}: chance has no place in a stream")
    for node in graph.graph.node:
        node.doc_string = ""
    graph.graph.name = model.name
    halve(graph)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(network))


def _add_metadata(network: Path, stated: dict[str, Any]) -> None:
    """The manifest's fields in the file itself, for when the .toml is lost."""
    graph = onnx.load(str(network))
    fields = {key: value for key, value in stated.items() if key not in ("schema", "file")}
    onnx.helper.set_model_props(graph, {METADATA + key: toml(value) for key, value in fields.items()})
    onnx.save(graph, str(network))


# --- the manifest -----------------------------------------------------------------------------------------------------


def _manifest(model: Streamed, facts: Facts, out: Path) -> dict[str, Any]:
    """The fields of rtsynth.inference.schema.Manifest that are known before the parity check."""
    texts = {field: getattr(model.module, field, None) for field in TEXTS}
    measured = {"receptive_field": facts.receptive_field, "tail": facts.tail}
    if getattr(model.module, "endless", False):  # its states may be started so that it never stops
        measured = {}
    return {
        "schema": SCHEMA,
        "name": out.stem,
        "file": out.name,
        **{field: str(text) for field, text in texts.items() if text},
        "sample_rate": model.sample_rate,
        "frame": model.frame,
        "channels": model.channels,
        "latency": facts.latency,
        **{field: count for field, count in measured.items() if count is not None},
        "opset": OPSET,
        "input": {"name": SOUND[0]},
        "output": {"name": SOUND[1]},
        "states": [
            {"input": name, "output": f"{name}_out", "shape": list(state.shape)}
            for name, state in zip(model.states, model.initial_states(), strict=True)
        ],
    }


def _record(parity: Parity) -> dict[str, Any]:
    return {
        "error": float(f"{parity.error:.2e}"),
        "tolerance": parity.tolerance,
        "runs": parity.runs,
        "exporter": f"rtsynth {rtsynth.__version__}, torch {torch.__version__}",
    }


def _write_manifest(stated: dict[str, Any], network: Path) -> None:
    lines = [f"{key} = {toml(value)}" for key, value in stated.items()]
    network.with_suffix(".toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def toml(value: Any) -> str:
    """A value as TOML writes it; a table inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        items = [toml(item) for item in value]
        tables = bool(value) and isinstance(value[0], dict)
        return "[\n    " + ",\n    ".join(items) + ",\n]" if tables else "[" + ", ".join(items) + "]"
    if isinstance(value, str) and "\n" in value:
        return '"""\n' + value.replace("\\", "\\\\").replace('"""', '""\\"') + '"""'
    return json.dumps(value, ensure_ascii=False)
