"""Export: what streams is written, with what was measured of it; what does not is refused, and nothing is written."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

torch = pytest.importorskip("torch", reason="export needs torch: docs/export.md")
pytest.importorskip("onnx", reason="export needs onnx: docs/export.md")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.errors import InputError, RtsynthError, ThresholdError, UsageError  # noqa: E402
from rtsynth.inference.manifest import load_manifest  # noqa: E402
from rtsynth.inference.model import StreamingModel  # noqa: E402
from rtsynth.inference.pipeline import Pipeline  # noqa: E402
from rtsynth.inference.schema import Manifest  # noqa: E402
from rtsynth.training.contract import Streamed, find_module, streamed  # noqa: E402
from rtsynth.training.export import Exported, export_module, toml  # noqa: E402
from rtsynth.training.measuring import measure  # noqa: E402
from rtsynth.training.parity import check, chunks, signals, stream  # noqa: E402
from tests.training import modules  # noqa: E402

HERE = Path(modules.__file__)
GOOD = (modules.Sound, modules.Stereo, modules.Ahead)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[type, Exported]:
    folder = tmp_path_factory.mktemp("exported")
    return {kind: export_module(kind(), kind.__name__, folder / f"{kind.__name__}.onnx") for kind in GOOD}


@pytest.mark.parametrize("kind", GOOD)
def test_the_stream_is_the_whole(kind: type, exported: dict[type, Exported]) -> None:
    """By this test's own chunks and sound, not by the exporter's word."""
    written = exported[kind]
    assert 0.0 < written.parity.error <= 1e-5
    assert written.parity.runs >= 20
    rng = np.random.default_rng(99)
    samples = (0.3 * rng.standard_normal(3000)).astype(np.float32)
    whole = streamed(kind(), "it").whole(samples)
    model = StreamingModel(load_manifest(written.path))
    said = stream(Pipeline(model, model.sample_rate), samples, chunks(3000, model.frame, rng))
    assert len(said) == 3000 // model.frame * model.frame - model.latency
    assert said.shape[1] == whole.shape[1] == model.channels
    np.testing.assert_allclose(said, whole[: len(said)], atol=1e-5 * np.abs(whole).max())


def test_what_is_measured_stands_in_the_manifest(exported: dict[type, Exported]) -> None:
    written = exported[modules.Ahead]
    stated = tomllib.loads(written.path.with_suffix(".toml").read_text())
    assert (stated["latency"], stated["frame"], stated["sample_rate"]) == (9, 10, 8000.0)
    assert stated["sha256"] == hashlib.sha256(written.path.read_bytes()).hexdigest()
    assert stated["opset"] == 17
    assert stated["export"]["tolerance"] == 1e-5
    assert stated["export"]["error"] == pytest.approx(written.parity.error, rel=0.01)
    assert "torch" in stated["export"]["exporter"]
    assert [state["input"] for state in stated["states"]] == [f"s{n}" for n in range(len(stated["states"]))]
    assert stated["states"][0] == {"input": "s0", "output": "s0_out", "shape": [1, 1, 9]}  # the skip


def test_reach_is_that_of_the_kernels(exported: dict[type, Exported]) -> None:
    """7 taps, then 5 taps 3 apart, both centred: 3 + 6 samples ahead and back; a recursion forgets more slowly."""
    assert exported[modules.Ahead].facts.lookahead == 9
    assert exported[modules.Ahead].facts.receptive_field == 10
    assert exported[modules.Ahead].facts.tail is not None
    assert exported[modules.Sound].facts.lookahead <= 3  # the rest of its stride
    reach = exported[modules.Sound].facts.receptive_field
    assert reach is None or reach > 24


def test_the_file_alone_says_what_its_manifest_does(exported: dict[type, Exported], tmp_path: Path) -> None:
    written = exported[modules.Ahead]
    alone = tmp_path / "Ahead.onnx"
    alone.write_bytes(written.path.read_bytes())
    found, beside = load_manifest(alone), load_manifest(written.path)
    for field in (
        "name",
        "latency",
        "frame",
        "sample_rate",
        "states",
        "export",
        "receptive_field",
        "channels",
    ):
        assert getattr(found, field) == getattr(beside, field), field


@pytest.mark.parametrize("kind", modules.FAULTS, ids=lambda kind: kind.__name__)
def test_a_planted_fault_is_refused_and_nothing_is_written(kind: type, tmp_path: Path) -> None:
    torch.manual_seed(1)
    with pytest.raises(ThresholdError) as caught:
        export_module(kind(), kind.__name__, tmp_path / "out.onnx")
    text = str(caught.value)
    assert modules.FAULTS[kind] in text
    assert text.startswith(f"{kind.__name__} is not exported: ")
    assert "\n" not in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", modules.BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_contract_is_one_line(kind: type, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        export_module(kind(), kind.__name__, tmp_path / "out.onnx")
    assert modules.BROKEN[kind] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_tolerance_that_cannot_be_met_refuses_what_is_sound(tmp_path: Path) -> None:
    with pytest.raises(ThresholdError, match="rounding"):
        export_module(modules.Sound(), "Sound", tmp_path / "out.onnx", tolerance=1e-9)


def swapped(manifest: Manifest) -> Manifest:
    """Two states of one shape take each other's place."""
    first, second = [state for state in manifest.states or () if state.shape == (1, 1, 4)]
    other = {first: replace(first, output=second.output), second: replace(second, output=first.output)}
    return replace(manifest, states=tuple(other.get(state, state) for state in manifest.states or ()))


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        (modules.Ahead, lambda m: replace(m, latency=8)),
        (modules.Ahead, lambda m: replace(m, latency=10)),
        (modules.Sound, swapped),
    ],
    ids=["latency - 1", "latency + 1", "states swapped"],
)
def test_the_comparison_itself_sees_a_manifest_that_is_wrong(
    kind: type, spoil: Callable[[Manifest], Manifest], exported: dict[type, Exported]
) -> None:
    """Without what is measured in torch before it."""
    model, manifest = streamed(kind(), kind.__name__), load_manifest(exported[kind].path)
    assert check(model, manifest, 1e-5, 5, 1).error < 1e-5
    with pytest.raises(ThresholdError):
        check(model, spoil(manifest), 1e-5, 5, 1)


def test_the_example_of_the_page_is_exported(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    (tmp_path / "model.py").write_text(page.split("```\n")[1])
    module = find_module(f"{tmp_path / 'model.py'}:Model")
    assert export_module(module, "Model", tmp_path / "model.onnx").facts.latency == 0


def test_dropout_in_a_module_is_off(tmp_path: Path) -> None:
    """What `eval` turns off is no fault."""
    model = modules.Sound()
    model.net.layers[1] = type(model.net.layers[1])(torch.nn.Dropout(0.5))
    assert export_module(model.train(), "Sound", tmp_path / "out.onnx").parity.error < 1e-5


@pytest.mark.parametrize(("taps", "ahead"), [(1, 0), (2, 1), (40, 39)])
def test_look_ahead_is_measured_to_the_sample(taps: int, ahead: int) -> None:
    """A moving mean of the next `taps` samples, in frames of 8, late by as much as it has to be."""

    class Mean(modules.LateWithoutWhole):
        frame, latency = 8, ahead

        def initial_states(self) -> tuple[torch.Tensor, ...]:
            return (torch.zeros(1, 1, ahead),)

        def forward(self, x: torch.Tensor, held: torch.Tensor) -> tuple[torch.Tensor, ...]:
            heard = torch.cat([held, x], dim=-1)
            return self.mean(heard), heard[..., heard.shape[-1] - ahead :]

        def mean(self, heard: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.avg_pool1d(heard, taps, 1)

        def whole(self, x: torch.Tensor) -> torch.Tensor:
            return self.mean(torch.nn.functional.pad(x, (0, ahead)))

    found = measure(streamed(Mean(), "Mean"), 1e-5, 1)
    assert (found.lookahead, found.receptive_field, found.tail, found.latency) == (ahead, 1, 0, ahead)


def test_chunks_are_of_every_size_and_signals_of_every_kind() -> None:
    rng = np.random.default_rng(5)
    sizes = chunks(100000, 8, rng)
    assert sum(sizes) == 100000
    assert set(sizes) >= set(range(1, 33))
    made = signals(4000, 8000.0, rng)
    assert len(made) == 5
    assert all(samples.shape == (4000,) and samples.dtype == np.float32 for samples in made.values())
    assert np.abs(made["a square at full scale"]).min() == 1.0
    assert np.count_nonzero(made["an impulse"]) == 1
    assert not made["silence, then sound"][:1000].any()


# --- FILE.py:NAME and its checkpoint


def test_a_module_is_found_by_its_file_and_name(tmp_path: Path) -> None:
    saved = modules.Sound()
    torch.nn.init.constant_(saved.net.layers[0].weight, 0.25)
    for name, value in (
        ("plain.pt", saved.state_dict()),
        ("nested.pt", {"generator": saved.state_dict(), "step": 3}),
    ):
        torch.save(value, tmp_path / name)
        found = find_module(f"{HERE}:make_sound", tmp_path / name)
        assert found.net.layers[0].weight.eq(0.25).all()  # type: ignore[union-attr,index]


class Wicked:
    def __reduce__(self) -> tuple:
        return (Path("wicked").touch, ())


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: path.write_bytes(b"no checkpoint"), "no checkpoint that can be read"),
        (lambda path: path.write_bytes(b""), "no checkpoint that can be read"),
        (lambda path: torch.save(Wicked(), path), "no checkpoint that can be read"),
        (lambda path: torch.save({"step": 3}, path), "holds no weights"),
        (lambda path: torch.save({"other": torch.zeros(1)}, path), "does not fit Sound"),
        (lambda path: None, "no checkpoint"),
    ],
)
def test_a_bad_checkpoint_is_one_line(
    write: object, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "bad.pt")  # type: ignore[operator]
    with pytest.raises(InputError, match=says) as caught:
        find_module(f"{HERE}:Sound", tmp_path / "bad.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "wicked").exists()


@pytest.mark.parametrize(
    ("place", "kind", "says"),
    [
        ("Sound", UsageError, "FILE.py:NAME"),
        (f"{HERE}:", UsageError, "FILE.py:NAME"),
        ("nowhere.py:Sound", InputError, "no file nowhere.py"),
        (f"{HERE}:Missing", InputError, "has no Missing"),
        (f"{HERE}:not_a_module", InputError, "TypeError"),
        (f"{HERE}:FAULTS", InputError, "TypeError"),
    ],
)
def test_a_place_without_a_module_is_one_line(place: str, kind: type[RtsynthError], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        find_module(place)
    assert "\n" not in str(caught.value)


def test_a_file_that_fails_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import torch\n\nraise OSError('disk\\nfull')\n")
    with pytest.raises(InputError, match=r"it failed: OSError: disk \(mine.py:3\)"):
        find_module(f"{path}:Model")


def test_toml_is_read_back() -> None:
    value = {
        "a": 1,
        "b": 2.5e-7,
        "c": 'qu"ote \\ and é',
        "d": [{"x": [1, 2]}, {"x": []}],
        "e": 'two\nlines """ \\n',
    }
    text = "\n".join(f"{key} = {toml(item)}" for key, item in value.items())
    assert tomllib.loads(text) == value


def test_the_rate_is_the_modules_or_the_users() -> None:
    assert isinstance(found := streamed(modules.NoRate(), "it", 44100.0), Streamed)
    assert found.sample_rate == 44100.0
    with pytest.raises(UsageError, match="leave --rate out"):
        streamed(modules.Sound(), "it", 44100.0)
