"""Weights in sixteen bits, for storage only: the network computes with the same numbers in 32."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

SMALLEST = 1024  # numbers; smaller tensors stay as they are


@torch.no_grad()
def round_to_half(module: nn.Module) -> None:
    """Every weight to the nearest number of sixteen bits: what is scored and exported is then what is stored."""
    for weight in module.parameters():
        weight.copy_(weight.half().float())


def halve(model: onnx.ModelProto, smallest: int = SMALLEST) -> None:
    """Float32 initialisers of `smallest` numbers or more as float16, cast where used: those alone that lose nothing."""
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or math.prod(tensor.dims) < smallest:
            continue
        whole = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = whole.astype(np.float16)
        if np.array_equal(half.astype(np.float32), whole):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    for node in reversed(casts):
        graph.node.insert(0, node)


def store_halved(path: Path) -> None:
    """The same to an ONNX file, in its place. Never half of one."""
    model = onnx.load(str(path))
    halve(model)
    onnx.checker.check_model(model, full_check=True)
    partial = path.with_suffix(".partial")
    onnx.save(model, str(partial))
    partial.replace(path)
