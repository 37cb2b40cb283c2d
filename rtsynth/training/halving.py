"""Weights in sixteen bits, for storage only: the network computes with the same numbers in 32."""

from __future__ import annotations

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


def store_halved(path: Path) -> None:
    """Large float32 initialisers of an ONNX file as float16, cast when it is loaded; only those that lose nothing."""
    model = onnx.load(str(path))
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        array = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if array.size >= SMALLEST and np.array_equal(half.astype(np.float32), array):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    for node in reversed(casts):
        graph.node.insert(0, node)
    onnx.checker.check_model(model, full_check=True)
    partial = path.with_suffix(".partial")
    onnx.save(model, str(partial))
    partial.replace(path)
