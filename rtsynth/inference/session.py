"""onnxruntime, and how it is asked to behave beside audio. Imported when a session is opened, not before."""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from rtsynth.errors import InputError, RtsynthError
from rtsynth.inference.schema import Manifest

if TYPE_CHECKING:
    import onnxruntime

QUIET = 4  # its log: fatal errors only; every other one is raised too, and said once, by us


def runtime() -> ModuleType:
    """onnxruntime, told to keep quiet; RtsynthError where it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise RtsynthError(f"models need onnxruntime: pip install 'rtsynth[models]' ({error})") from None
    onnxruntime.set_default_logger_severity(QUIET)
    return onnxruntime


def session_options() -> onnxruntime.SessionOptions:
    """One thread that never spins, nodes in order, no chatter on stderr.

    Denormals are the thread's own matter (rtsynth/inference/worker.py): onnxruntime's option for them would change the
    mode of whatever thread opens the first session, for good.
    """
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = QUIET
    for name in ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning"):
        options.add_session_config_entry(name, "0")
    return options


def open_session(
    manifest: Manifest, options: onnxruntime.SessionOptions | None = None, providers: list | None = None
) -> onnxruntime.InferenceSession:
    """A session on the manifest's network; InputError in one line where onnxruntime refuses it."""
    onnxruntime = runtime()
    try:
        return onnxruntime.InferenceSession(
            manifest.path,
            session_options() if options is None else options,
            providers=["CPUExecutionProvider"] if providers is None else providers,
        )
    except Exception as error:  # onnxruntime's own classes derive from nothing narrower
        raise InputError(f"{manifest.path} cannot be loaded: {one_line(error)}") from None


_SAID = {  # by onnxruntime, and in fewer words
    r"Opset (\d+) is under development.* till opset (\d+)": r"opset \1 is newer than this onnxruntime's \2",
    r"Unsupported model IR version: (\d+), max supported IR version: (\d+)": r"format \1 is newer than \2, the newest "
    "that this onnxruntime reads",
    r"(\S+)\(-?\d+\) is not a registered function/op": r"it uses \1, an operator that is not ONNX's own",
    r"No Op registered for (\S+)": r"it uses \1, and there is no such operator",
}
_NOISE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|/onnxruntime_src/\S+ .*?\) (?=[A-Z])"
)


def one_line(error: Exception) -> str:
    """onnxruntime's message without its code, the places in its source and line breaks."""
    text = _NOISE.sub("", " ".join(str(error).split()))
    for said, short in _SAID.items():
        if found := re.search(said, text):
            return found.expand(short)
    return text[:300].rstrip(". ")


def numpy_type(name: str) -> np.dtype:
    """onnxruntime's "tensor(float)" as numpy calls it."""
    short = {"float": "float32", "double": "float64"}
    inner = name.removeprefix("tensor(").removesuffix(")")
    return np.dtype(short.get(inner, inner))
