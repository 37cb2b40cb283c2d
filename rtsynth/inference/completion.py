"""What a manifest leaves out, read from the graph; and what it says, held against the graph.

Names: an input is a state where an output has its name but for a mark such as `_in`, `_out`, `new_`, a final `n`
(h → hn), `initial_`/`Y_` (h, c) or `s_`/`o_`. One input and one output are left over, or are called after sound: they
carry it. Shapes: what goes in leaves no dimension open. What comes out may; the model is probed when it starts.
"""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import msgspec

from rtsynth.errors import InputError
from rtsynth.inference.graph import DTYPES, Graph, Tensor
from rtsynth.inference.schema import Layout, Manifest, Port, Shape, State, Stft

HINT = "Say which is which in a manifest (docs/models.md)"

_BEFORE = re.compile(r"^(?:in|out|i|o|s|new|next|prev|past|present|initial|y|x)_")
_AFTER = re.compile(r"_(?:in|out|i|o|n|new|next|prev|t|tm1)$")
_SOUND = re.compile(
    r"|x|y|audio|sound|signal|wave(form)?|wav|pcm|samples|data|frame|input|output|in|out|mix|enh|noisy|clean|speech"
    r"|spec(trum)?"
)


def complete(stated: Manifest, graph: Graph, network: Path, where: str) -> Manifest:
    """`stated`, and every field that decides how it runs. InputError where it and the graph contradict each other."""
    names = _names(stated, graph, where)
    inputs = {tensor.name: tensor for tensor in graph.inputs}
    outputs = {tensor.name: tensor for tensor in graph.outputs}
    entry, exit_ = inputs[names[0]], outputs[names[1]]
    for tensor in (entry, exit_):
        if tensor.dtype != "float32":
            raise InputError(f"{where}: {tensor} is {tensor.dtype}; sound goes in and comes out as float32")
    if stated.stft:
        frame = _spectral_frame(stated, stated.stft, where)
        source = _spectral_port(entry, stated.input, stated.stft, where)
        sink = _spectral_port(exit_, stated.output, stated.stft, where)
    else:
        source, frame = _source(entry, stated, where)
        sink = _sink(exit_, stated, frame, where)
    said = {state.input: state for state in stated.states or ()}
    return msgspec.structs.replace(
        stated,
        file=str(network),
        frame=frame,
        channels=1 if sink.layout in ("time", "bins parts", "parts bins") else 2,
        input=source,
        output=sink,
        states=tuple(_state(inputs[a], outputs[b], said.get(a), where) for a, b in names[2]),
        opset=graph.opset,
    )


# --- names ------------------------------------------------------------------------------------------------------------


def _names(stated: Manifest, graph: Graph, where: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Sound in, sound out, (input, output) of every state: as stated, or found."""
    _check_names(stated, graph, where)
    sound_in = stated.input.name if stated.input else None
    sound_out = stated.output.name if stated.output else None
    free_inputs = [tensor for tensor in graph.inputs if tensor.name != sound_in]
    free_outputs = [tensor for tensor in graph.outputs if tensor.name != sound_out]
    if stated.states is None:
        pairs = _pairs(free_inputs, free_outputs, known=bool(sound_in or sound_out))
    else:
        pairs = [(state.input, state.output) for state in stated.states]
    taken_in, taken_out = [a for a, _ in pairs], [b for _, b in pairs]
    left = [tensor for tensor in free_inputs if tensor.name not in taken_in]
    right = [tensor for tensor in free_outputs if tensor.name not in taken_out]
    sound_in = sound_in or _the_sound(left, "goes in", where)
    sound_out = sound_out or _the_sound(right, "comes out", where)
    if len({sound_in, *taken_in}) <= len(pairs) or len({sound_out, *taken_out}) <= len(pairs):
        raise InputError(f"{where}: states: a tensor is named twice")
    for tensor in left:
        if tensor.name != sound_in:
            twins = [str(other) for other in right if _is_twin(tensor.name, other.name)]
            fate = f"comes out as {twins[0]}" if twins else "comes in and does not go out"
            raise InputError(f"{where}: state {tensor} {fate}. {HINT}")
    return sound_in, sound_out, pairs


def _check_names(stated: Manifest, graph: Graph, where: str) -> None:
    """Everything the manifest names is there."""
    inputs, outputs = [tensor.name for tensor in graph.inputs], [tensor.name for tensor in graph.outputs]
    named = [
        ("input.name", stated.input, inputs),
        ("output.name", stated.output, outputs),
    ]
    wanted = [(field, port.name, there) for field, port, there in named if port]
    for i, state in enumerate(stated.states or ()):
        wanted += [
            (f"states[{i}].input", state.input, inputs),
            (f"states[{i}].output", state.output, outputs),
        ]
    for field, name, there in wanted:
        if name not in there:
            raise InputError(
                f"{where}: {field}: the network has no '{name}', only {', '.join(there) or 'none'}"
            )


def _the_sound(tensors: list[Tensor], does: str, where: str) -> str:
    """The one that carries the sound: the only one, or the only one that is called after it."""
    called = (
        [tensor for tensor in tensors if _SOUND.fullmatch(_stem(tensor.name))]
        if len(tensors) > 1
        else tensors
    )
    if len(called) != 1:
        names = ", ".join(map(str, tensors)) or "nothing"
        raise InputError(f"{where}: cannot tell where the sound {does}, among: {names}. {HINT}")
    return called[0].name


def _pairs(inputs: list[Tensor], outputs: list[Tensor], known: bool) -> list[tuple[str, str]]:
    """(input, output) of what is a state by its name, shape and type. `known`: the sound is not among them."""
    pairs = []
    for tensor in inputs:
        if known or not _SOUND.fullmatch(_stem(tensor.name)):
            twins = [
                other for other in outputs if _is_twin(tensor.name, other.name) and _agree(tensor, other)
            ]
            pairs += [(tensor.name, twins[0].name)] if len(twins) == 1 else []
    taken = [other for _, other in pairs]
    return [(one, other) for one, other in pairs if taken.count(other) == 1]


def _is_twin(one: str, other: str) -> bool:
    """h → hn, h_in → h_out, s_3 → o_3, initial_h → Y_h, …"""
    return _stem(other) in (_stem(one), f"{_stem(one)}n")


def _stem(name: str) -> str:
    """A name without the marks of going in or coming out."""
    return _BEFORE.sub("", _AFTER.sub("", name.lower().replace(".", "_")))


def _agree(one: Tensor, other: Tensor) -> bool:
    """Of one type, and nowhere of two shapes: an open dimension may be anything."""
    if one.dtype != other.dtype:
        return False
    if one.shape is None or other.shape is None:
        return True
    return len(one.shape) == len(other.shape) and all(
        a == b or isinstance(a, str) or isinstance(b, str)
        for a, b in zip(one.shape, other.shape, strict=True)
    )


# --- shapes -----------------------------------------------------------------------------------------------------------


def _is_open(tensor: Tensor) -> bool:
    return tensor.shape is None or any(isinstance(n, str) or n < 0 for n in tensor.shape)


def _closed(tensor: Tensor, stated: Shape | None, where: str) -> Shape:
    """The shape of what goes in: as stated, or the graph's where it leaves nothing open."""
    if stated is not None:
        if not _agree(tensor, Tensor(tensor.name, tensor.dtype, stated)):
            raise InputError(
                f"{where}: {tensor} cannot have the shape {_text(stated)} that the manifest gives it"
            )
        return stated
    if _is_open(tensor):
        raise InputError(f"{where}: {tensor} has an open dimension. Fix it in a manifest: shape = [1, …]")
    return tuple(int(n) for n in tensor.shape or ())


def _out_shape(tensor: Tensor, stated: Shape | None, where: str) -> Shape | None:
    """The shape of what comes out; None where neither says it."""
    return None if stated is None and _is_open(tensor) else _closed(tensor, stated, where)


def _state(one: Tensor, other: Tensor, stated: State | None, where: str) -> State:
    shape = _closed(one, stated.shape if stated else None, where)
    if one.dtype not in DTYPES.values():
        raise InputError(f"{where}: state {one} is {one.dtype}, and cannot be carried")
    if not _agree(Tensor(one.name, one.dtype, shape), other):
        raise InputError(f"{where}: state {one}, {one.dtype}, comes out as {other}, {other.dtype}")
    return State(input=one.name, output=other.name, shape=shape, start=stated.start if stated else 0.0)


def _source(tensor: Tensor, stated: Manifest, where: str) -> tuple[Port, int]:
    """Where samples go in, and how many a step: (T), (1, T), (1, 1, T) or (1, T, 1)."""
    shape = stated.input.shape if stated.input else None
    if tensor.shape is not None and not 1 <= len(tensor.shape) <= 3:
        raise InputError(
            f"{where}: {tensor} has rank {len(tensor.shape)}; samples go in as (T), (1, T), (1, 1, T) or (1, T, 1), "
            "and a network that takes spectra needs a manifest with [stft] (docs/models.md)"
        )
    if shape is None and stated.frame and sum(isinstance(n, str) for n in tensor.shape or ()) == 1:
        shape = tuple(stated.frame if isinstance(n, str) else n for n in tensor.shape or ())
    shape = _closed(tensor, shape, where)
    frame = prod(shape)
    if sum(n > 1 for n in shape) > 1:
        raise InputError(
            f"{where}: {tensor.name} {_text(shape)} takes several channels; what is heard is one"
        )
    if frame < 1 or stated.frame not in (None, frame):
        raise InputError(
            f"{where}: {tensor.name} {_text(shape)} takes {frame} samples; frame is {stated.frame}"
        )
    return Port(name=tensor.name, layout="time", shape=shape), frame


def _sink(tensor: Tensor, stated: Manifest, frame: int, where: str) -> Port:
    """Where as many samples come out, in one channel or two."""
    shape = _out_shape(tensor, stated.output.shape if stated.output else None, where)
    layout = (stated.output.layout if stated.output else None) or _sound_layout(shape, stated.channels, frame)
    if layout in ("bins parts", "parts bins"):
        raise InputError(f"{where}: output.layout: '{layout}' is for spectra, and there is no [stft]")
    channels = 1 if layout == "time" else 2
    if stated.channels not in (None, channels):
        raise InputError(f"{where}: channels is {stated.channels}, but output.layout is '{layout}'")
    if shape is not None and prod(shape) != channels * frame:
        raise InputError(
            f"{where}: {tensor.name} {_text(shape)} gives {prod(shape)} samples for a frame of {frame}"
            + (" in 2 channels" if channels == 2 else "")
        )
    return Port(name=tensor.name, layout=layout, shape=shape)


def _sound_layout(shape: Shape | None, channels: int | None, frame: int) -> Layout:
    """Of what comes out where nothing is stated: two channels where there are twice the samples."""
    if shape is None or channels == 1:
        return "channels time" if channels == 2 else "time"
    if channels != 2 and prod(shape) != 2 * frame:
        return "time"
    return "time channels" if shape and shape[-1] == 2 and frame > 1 else "channels time"


def _spectral_frame(stated: Manifest, stft: Stft, where: str) -> int:
    if stft.hop > stft.n_fft or stft.n_fft % 2:
        raise InputError(f"{where}: stft: n_fft must be even, and hop at most n_fft")
    if stated.frame not in (None, stft.hop):
        raise InputError(
            f"{where}: frame is {stated.frame}, but that of a spectral model is its hop, {stft.hop}"
        )
    if stated.channels == 2:
        raise InputError(f"{where}: channels: one spectrum comes out, so 1")
    return stft.hop


def _spectral_port(tensor: Tensor, stated: Port | None, stft: Stft, where: str) -> Port:
    """(…, bins, …, 2, …), (…, 2, …, bins, …), or both axes as one; `layout` says which comes first."""
    shape = _out_shape(tensor, stated.shape if stated else None, where)
    orders: dict[Layout, list[int]] = {"bins parts": [stft.bins, 2], "parts bins": [2, stft.bins]}
    merged = [2 * stft.bins]
    found = [n for n in shape or () if n != 1]
    layout: Layout | None = stated.layout if stated else None
    if layout is None:
        layout = "parts bins" if found in (orders["parts bins"], merged) else "bins parts"
    if layout not in orders:
        raise InputError(f"{where}: layout: spectra are 'bins parts' or 'parts bins', not '{layout}'")
    if shape is not None and found not in (orders[layout], merged):
        raise InputError(
            f"{where}: {tensor.name} {_text(shape)} is not {stft.bins} bins (n_fft {stft.n_fft}) of a real and an "
            f"imaginary part in the order '{layout}'"
        )
    return Port(name=tensor.name, layout=layout, shape=shape)


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"
