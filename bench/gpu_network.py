"""A network of a neural codec's make and size, for timing: strided causal convolutions down to one vector a frame, and
the same way back, with every convolution's past as a state. Weights are noise; the answers mean nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from rtsynth.inference.schema import Manifest, Port, State

STRIDES = (2, 4, 5, 8)  # their product is the frame
FRAME = 320  # samples: 13.3 ms at 24 kHz
KERNEL = 7  # taps of the convolutions that look back
RATE = 24000.0


class _Graph:
    """What has been added so far."""

    def __init__(self, batch: int) -> None:
        self.batch, self.nodes, self.weights = batch, [], []
        self.states: list[tuple[str, str, tuple[int, int, int]]] = []
        self.multiplications = 0  # a frame and batch entry
        self._rng = np.random.default_rng(1)

    def add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: np.ndarray) -> str:
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, x: str, into: int, out: int, taps: int, stride: int, length: int) -> str:
        """x (batch, into, length) -> (batch, out, length out)."""
        scale = 1.0 / np.sqrt(into * taps)
        weights = self.constant((scale * self._rng.standard_normal((out, into, taps))).astype(np.float32))
        self.multiplications += out * into * taps * ((length - taps) // stride + 1)
        return self.add("Conv", [x, weights], strides=[stride])

    def looking_back(self, x: str, channels: int, length: int) -> str:
        """x + tanh(convolution of x and its past)."""
        shape = (self.batch, channels, KERNEL - 1)
        past, last = f"past_{len(self.states)}", f"past_{len(self.states)}_out"
        self.states.append((past, last, shape))
        whole = self.add("Concat", [past, x], axis=2)
        ends = [self.constant(np.array([n], np.int64)) for n in (1 - KERNEL, 1 << 30, 2)]
        self.nodes.append(helper.make_node("Slice", [whole, *ends], [last]))
        heard = self.convolution(whole, channels, channels, KERNEL, 1, length + KERNEL - 1)
        return self.add("Add", [x, self.add("Tanh", [heard])])

    def upsample(self, x: str, into: int, out: int, stride: int, length: int) -> str:
        """(batch, into, length) -> (batch, out, stride length): so many channels laid side by side in time."""
        wide = self.convolution(x, into, out * stride, 1, 1, length)
        apart = self.constant(np.array([self.batch, out, stride, length], np.int64))
        joined = self.constant(np.array([self.batch, out, stride * length], np.int64))
        turned = self.add("Transpose", [self.add("Reshape", [wide, apart])], perm=[0, 1, 3, 2])
        return self.add("Reshape", [turned, joined])


def write(path: Path, channels: int, batch: int) -> tuple[Manifest, int]:
    """Write the network, `channels` wide at the first level; its manifest, and multiplications a frame and entry."""
    graph = _Graph(batch)
    x, width, length = graph.convolution("sound", 1, channels, 1, 1, FRAME), channels, FRAME
    for stride in STRIDES:
        x = graph.looking_back(x, width, length)
        x = graph.convolution(x, width, 2 * width, stride, stride, length)
        width, length = 2 * width, length // stride
    for stride in reversed(STRIDES):
        x = graph.upsample(x, width, width // 2, stride, length)
        width, length = width // 2, length * stride
        x = graph.looking_back(x, width, length)
    weights = graph.constant(np.full((1, width, 1), 1.0 / width, np.float32))
    graph.nodes.append(helper.make_node("Conv", [x, weights], ["answer"]))
    sound = (batch, 1, FRAME)
    inputs = [("sound", sound), *((name, shape) for name, _, shape in graph.states)]
    outputs = [("answer", sound), *((name, shape) for _, name, shape in graph.states)]
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side]
        for side in (inputs, outputs)
    ]
    body = helper.make_graph(graph.nodes, "codec_like", *ports, graph.weights)
    save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    manifest = Manifest(
        schema=1,
        name="codec-like",
        file=str(path),
        sample_rate=RATE,
        frame=FRAME,
        channels=1,
        latency=0,
        input=Port(name="sound", layout="time", shape=sound),
        output=Port(name="answer", layout="time", shape=sound),
        states=tuple(State(input=a, output=b, shape=shape) for a, b, shape in graph.states),
    )
    return manifest, graph.multiplications
