"""From the names typed after `rtsynth bench` to what is measured: instruments, the vocoder, models, the control."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtsynth.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtsynth.engine.latency import Load
    from rtsynth.engine.timing import Worker
    from rtsynth.instrument import Preset
    from rtsynth.sampler.cuda import CudaBank
    from rtsynth.source import Source

VOICES = 16  # of a preset that is named without a number
DEFAULT, MODEL = ("piano:16", "bell:32", "gp"), "drive"  # the model where it is shipped
SEED = 1
VOCODER = "vocoder"  # the neural one that ships; the GP one is called gp
RNN = "waveform"  # the shipped model that `rnn` stands for
ON_CPU = "it runs on the processor alone"

Heard = Callable[[float, float], "NDArray[np.float32]"]


@dataclass(frozen=True)
class Ears:
    """What models and the vocoder hear: a file again and again, or noise and sines."""

    file: str | None = None

    def __call__(self, seconds: float, rate: float) -> NDArray[np.float32]:
        """`seconds` of it at `rate` hertz, (n,) float32."""
        from rtsynth.engine.workload import noise_and_sines

        if self.file is None:
            return noise_and_sines(seconds, rate, SEED)
        from rtsynth.io.hearing import read_heard

        heard = read_heard(self.file, rate)
        if not heard.size:
            raise InputError(f"{self.file} holds no sound. Leave --audio-in out to hear noise and sines")
        return np.resize(heard, round(seconds * rate))


def loads(names: Sequence[str], devices: Sequence[str], ears: Ears, manifest: str | None) -> list[Load]:
    """Everything to be measured, device by device within each source. Raises UsageError, InputError."""
    found = [load for name in names or default_names() for load in _loads_of(name, devices, ears, manifest)]
    keys = [(load.source, load.device) for load in found]
    for source, _ in keys:
        if keys.count((source, found[0].device)) > 1:
            raise UsageError(
                f"two sources are called {source}. Name each once, or measure one after the other"
            )
    return found


def default_names() -> list[str]:
    """What this build ships of each kind."""
    from rtsynth.inference.manifest import directory

    shipped = (directory() / f"{MODEL}.onnx").is_file()
    return [*DEFAULT, *([MODEL] if shipped else [])]


def _loads_of(name: str, devices: Sequence[str], ears: Ears, manifest: str | None) -> Iterator[Load]:
    from rtsynth.engine.latency import Load
    from rtsynth.inference.manifest import list_models

    name = RNN if name == "rnn" else name
    if name == VOCODER or (name.endswith(".onnx") and _is_vocoder(Path(name))):
        for device in devices:
            yield _neural_vocoder(name, device, ears)
        return
    if name.endswith(".onnx") or name in list_models():
        for device in devices:
            yield _model(name, device, ears, manifest)
        return
    if name in ("gp", "thru"):
        make = _make_vocoder if name == "gp" else _make_thru
        for device in devices:
            refusal = None if device == "cpu" else ON_CPU
            yield Load(name, device, _plain(make), heard=ears, refusal=refusal)
        return
    preset, voices = _preset(name)
    for device in devices:
        yield _instrument(preset, voices, device)


def _plain(make: Callable[[], Source]) -> Callable[[], contextlib.AbstractContextManager[Source]]:
    return lambda: contextlib.nullcontext(make())


def _make_vocoder() -> Source:
    from rtsynth.speech.live import Vocoder

    return Vocoder(seed=SEED)


def _make_thru() -> Source:
    from rtsynth.engine.thru import Thru

    return Thru()


def _preset(name: str) -> tuple[Preset, int]:
    """`piano`, `piano:32`, `mine.toml:8`."""
    import rtsynth

    stem, colon, number = name.rpartition(":")
    if not colon or not number.isdigit():
        return rtsynth.load_preset(name), VOICES
    if not 1 <= int(number) <= 4096:
        raise UsageError(f"{name}: want 1 to 4096 voices, for instance {stem}:32")
    return rtsynth.load_preset(stem), int(number)


def _instrument(preset: Preset, voices: int, device: str) -> Load:
    from rtsynth.engine.latency import Load
    from rtsynth.instrument import Instrument

    def make() -> Source:
        return Instrument(preset, seed=SEED)

    name = f"{preset.name}:{voices}"
    if device == "cpu":
        return Load(name, device, _plain(make), voices=voices)
    from rtsynth.sampler.cuda import why_not

    return Load(name, device, times=_gpu_bank(preset, voices), refusal=why_not())


def _gpu_bank(preset: Preset, voices: int) -> Callable[[int, int, float], NDArray[np.int64]]:
    """Times of a bank on the GPU with as many voices and rows as the instrument, all sounding, gains in motion."""
    made: dict[int, CudaBank] = {}

    def times(block: int, blocks: int, rate: float) -> NDArray[np.int64]:
        from rtsynth.instrument.tables import shape_of
        from rtsynth.sampler.cuda import Rows
        from rtsynth.sampler.cuda_timing import full_bank, measure_bank

        if block not in made:
            shape = shape_of(preset, rate)
            made.clear()
            made[block] = full_bank(voices, Rows(shape.noisy_from, shape.rows - shape.noisy_from), block)
        return measure_bank(made[block], block, blocks, rate=rate).wall_ns

    return times


def _model(name: str, device: str, ears: Ears, manifest: str | None) -> Load:
    from rtsynth.engine.latency import Load
    from rtsynth.inference.manifest import load_manifest

    loaded = load_manifest(name, manifest)  # what is wrong with it is said now, not after minutes

    def make() -> contextlib.AbstractContextManager[Source]:
        from rtsynth.inference.live import LiveModel

        if loaded.answers == "sound":
            return contextlib.closing(LiveModel(name, manifest=manifest, device=device))
        from rtsynth.codec.decoder import Decoder
        from rtsynth.codec.live import LiveCodec

        model = LiveModel(name, manifest=manifest, device=device, policy="silence")
        return contextlib.closing(LiveCodec(model, Decoder()))

    return Load(Path(name).stem, device, make, heard=ears, worker=_worker)


def _is_vocoder(path: Path) -> bool:
    from rtsynth.inference.graph import read_graph
    from rtsynth.vocoder.stream import KIND

    return path.is_file() and read_graph(path).metadata.get("rtsynth.kind") == KIND


def _neural_vocoder(name: str, device: str, ears: Ears) -> Load:
    """One that takes mel frames, on those of what is heard."""
    from rtsynth.engine.latency import Load
    from rtsynth.vocoder.live import LiveVocoder

    LiveVocoder.describe(name, None)  # what is wrong with it is said now, not after minutes

    def make() -> contextlib.AbstractContextManager[Source]:
        return contextlib.closing(LiveVocoder(name, device=device))

    return Load(Path(name).stem, device, make, heard=ears, worker=_worker)


def _worker(source: Source) -> Worker:
    """What the process behind a model has counted since it was made."""
    from rtsynth.codec.live import LiveCodec
    from rtsynth.engine.meter import Histogram
    from rtsynth.engine.timing import Worker
    from rtsynth.inference.live import LiveModel

    model = source.model if isinstance(source, LiveCodec) else source
    assert isinstance(model, LiveModel)
    facts, computed = model.facts, model.measurements().computed
    return Worker(
        budget_ns=round(1e9 * facts.frame / facts.model_rate),
        wall=Histogram(*computed.wall),
        cpu=Histogram(*computed.cpu),
        turnaround=Histogram(*computed.turnaround),
        frames=computed.frames,
        skipped=computed.skipped,
        latency=source.delays,  # type: ignore[attr-defined]
    )
