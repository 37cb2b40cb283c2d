"""What a manifest says, what the graph says, and where they lie."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.inference import schema
from rtsynth.inference.manifest import directory, list_models, load_manifest
from tests.inference import networks
from tests.inference.networks import node, save, toml, write_manifest

ROOT = Path(__file__).parents[2]


def with_state(path: Path, one: str, other: str, x: str = "x", y: str = "y") -> Path:
    """(1, 64) → (1, 64) and a state (2, 8), under these names."""
    nodes = [node("Identity", x, y), node("Identity", one, other)]
    return save(path, nodes, [(x, (1, 64)), (one, (2, 8))], [(y, (1, 64)), (other, (2, 8))])


# --- the graph alone -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("h", "hn"),
        ("h", "h_out"),
        ("h_in", "h_out"),
        ("h0", "h0_n"),
        ("s_3", "o_3"),
        ("conv_cache", "conv_cache_out"),
        ("initial_h", "Y_h"),
        ("past_key", "present_key"),
        ("state.in", "state.out"),
        ("h", "new_h"),
    ],
)
def test_states_are_paired_by_name(tmp_path: Path, one: str, other: str) -> None:
    manifest = load_manifest(with_state(tmp_path / "m.onnx", one, other))
    assert manifest.states == (schema.State(input=one, output=other, shape=(2, 8)),)


@pytest.mark.parametrize(
    ("x", "y"), [("x", "y"), ("input", "output"), ("audio_in", "audio_out"), ("noisy", "enh"), ("foo", "bar")]
)
def test_the_sound_is_what_is_left_or_called_so(tmp_path: Path, x: str, y: str) -> None:
    manifest = load_manifest(with_state(tmp_path / "m.onnx", "h", "hn", x, y))
    assert [port.name for port in manifest.ports] == [x, y]
    assert len(manifest.states or ()) == 1


def test_a_name_is_not_enough(tmp_path: Path) -> None:
    """Two states of one stem and different shapes are told apart; of different types they are no pair."""
    nodes = [node("Identity", "x", "y"), node("Identity", "a", "a_out"), node("Identity", "a_in", "an")]
    ports = (
        [("x", (1, 64)), ("a", (1, 4)), ("a_in", (1, 5))],
        [("y", (1, 64)), ("a_out", (1, 4)), ("an", (1, 5))],
    )
    manifest = load_manifest(save(tmp_path / "m.onnx", nodes, *ports))
    assert [(s.input, s.output) for s in manifest.states or ()] == [("a", "a_out"), ("a_in", "an")]
    mixed = save(tmp_path / "n.onnx", nodes[:2], ports[0][:2], ports[1][:2], dtype={"a_out": 11})
    with pytest.raises(InputError, match=re.escape("state a (1, 4) comes out as a_out (1, 4)")):
        load_manifest(mixed)


@pytest.mark.parametrize("shape", [(64,), (1, 64), (1, 1, 64), (1, 64, 1)])
def test_samples_stand_in_one_axis(tmp_path: Path, shape: tuple[int, ...]) -> None:
    manifest = load_manifest(networks.identity(tmp_path / "m.onnx", shape))
    assert (manifest.frame, manifest.channels, manifest.states) == (64, 1, ())
    assert manifest.ports[0].shape == shape


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((1, 2, 64), "channels time"), ((1, 64, 2), "time channels"), ((128,), "channels time")],
)
def test_two_channels_come_out(tmp_path: Path, shape: tuple[int, ...], layout: str) -> None:
    nodes = [node("Concat", "x x", "xx", axis=0), node("Reshape", "xx shape", "y")]
    path = save(tmp_path / "m.onnx", nodes, [("x", (1, 64))], [("y", shape)], {"shape": np.array(shape)})
    manifest = load_manifest(path)
    assert (manifest.channels, manifest.ports[1].layout) == (2, layout)


def test_what_the_graph_does_not_say(tmp_path: Path) -> None:
    """Neither rate nor delay: 0 stands for the device's rate, None for not stated."""
    manifest = load_manifest(networks.identity(tmp_path / "my model.onnx"))
    assert (manifest.name, manifest.sample_rate, manifest.latency, manifest.opset) == (
        "my-model",
        0.0,
        None,
        17,
    )
    assert manifest.delay == 0
    assert manifest.path == tmp_path / "my model.onnx"


def test_metadata_carries_a_manifest(tmp_path: Path) -> None:
    """Every value as TOML writes it; what is not ours is nobody's business."""
    metadata = {
        "rtsynth.sample_rate": "22050",
        "rtsynth.latency": "12",
        "rtsynth.name": '"mine"',
        "rtsynth.export": toml({"error": 1e-7, "tolerance": 1e-5, "runs": 20}),
        "author": "somebody's = \"own",
    }
    manifest = load_manifest(networks.identity(tmp_path / "m.onnx", metadata=metadata))
    assert (manifest.name, manifest.sample_rate, manifest.latency) == ("mine", 22050.0, 12)
    assert manifest.export == schema.Export(error=1e-7, tolerance=1e-5, runs=20)
    bad = networks.identity(tmp_path / "bad.onnx", metadata={"rtsynth.sample_rtae": "22050"})
    with pytest.raises(
        InputError, match=r"bad.onnx \(its metadata\): sample_rtae: no such field. Did you mean 'sample_rate'"
    ):
        load_manifest(bad)


# --- a TOML file -----------------------------------------------------------------------------------------------------


def test_a_manifest_beside_the_network_is_found(tmp_path: Path) -> None:
    path = networks.identity(tmp_path / "m.onnx")
    write_manifest(tmp_path / "m.toml", name="beside", sample_rate=44100, tail=5, receptive_field=9)
    write_manifest(tmp_path / "other.toml", name="other", file="m.onnx")
    found = load_manifest(path)
    assert (found.name, found.sample_rate, found.tail, found.receptive_field) == ("beside", 44100.0, 5, 9)
    assert load_manifest(tmp_path / "m.toml") == found
    assert load_manifest(path, tmp_path / "other.toml").name == "other"
    assert load_manifest(tmp_path / "other.toml").path == path


@pytest.mark.parametrize("fields", [{"frame": 32}, {"input": {"name": "x", "shape": [1, 32]}}])
def test_a_manifest_closes_an_open_dimension(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = networks.identity(tmp_path / "m.onnx", (1, "T"))
    manifest = load_manifest(path, write_manifest(tmp_path / "a.toml", **fields))
    assert (manifest.frame, manifest.ports[0].shape, manifest.ports[1].shape) == (32, (1, 32), None)


def test_a_manifest_closes_a_state(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", "y"), node("Identity", "h", "hn")]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [("x", (1, 8)), ("h", ("batch", 4))],
        [("y", (1, 8)), ("hn", ("batch", 4))],
    )
    states = [{"input": "h", "output": "hn", "shape": [1, 4]}]
    manifest = load_manifest(path, write_manifest(tmp_path / "a.toml", states=states))
    assert manifest.states == (schema.State(input="h", output="hn", shape=(1, 4)),)


def test_the_network_that_was_described_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    path = networks.identity(tmp_path / "m.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_manifest(path, write_manifest(tmp_path / "a.toml", sha256=digest)).sha256 == digest
    networks.identity(path, (1, 128))
    with pytest.raises(InputError, match="is not the file that this manifest was written for"):
        load_manifest(path, tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"sample_rtae": 8000}, "sample_rtae: no such field. Did you mean 'sample_rate'?"),
        ({"stft": {"n_fft": 512, "hopp": 128}}, "stft.hopp: no such field. Did you mean 'hop'?"),
        ({"stft": {"n_fft": 512}}, "stft.hop: this field is missing"),
        ({"states": [{"input": "h"}]}, "states[0].output: this field is missing"),
        ({"latency": -1}, "latency: expected `int` >= 0"),
        ({"latency": "much"}, "latency: expected `int | null`, got `str`"),
        ({"channels": 3}, "channels: invalid enum value 3"),
        ({"schema": 2}, "schema is 2; this rtsynth reads schema = 1"),
        ({"file": "../m.onnx"}, "file: expected `str` matching regex"),
        (
            {"stft": {"n_fft": 512, "hop": 256, "window": "square"}},
            "stft.window: invalid enum value 'square'",
        ),
        ({"input": {"name": "z"}}, "input.name: the network has no 'z', only x"),
        ({"output": {"name": "z"}}, "output.name: the network has no 'z', only y"),
        ({"states": [{"input": "h", "output": "y"}]}, "states[0].input: the network has no 'h', only x"),
        ({"frame": 65}, "x (1, 64) takes 64 samples; frame is 65"),
        ({"channels": 2}, "y (1, 64) gives 64 samples for a frame of 64 in 2 channels"),
        (
            {"output": {"name": "y", "layout": "bins parts"}},
            "'bins parts' is for spectra, and there is no [stft]",
        ),
        (
            {"channels": 1, "output": {"name": "y", "layout": "channels time"}},
            "channels is 1, but output.layout is",
        ),
        ({"input": {"name": "x", "shape": [1, 65]}}, "x (1, 64) cannot have the shape (1, 65)"),
        ({"stft": {"n_fft": 512, "hop": 256}}, "x (1, 64) is not 257 bins (n_fft 512)"),
        ({"stft": {"n_fft": 63, "hop": 8}}, "n_fft must be even"),
        ({"stft": {"n_fft": 64, "hop": 65}}, "hop at most n_fft"),
        (
            {"stft": {"n_fft": 64, "hop": 32}, "frame": 64},
            "frame is 64, but that of a spectral model is its hop, 32",
        ),
    ],
)
def test_what_it_gets_wrong_is_said_in_one_line(
    tmp_path: Path, fields: dict[str, Any], complaint: str
) -> None:
    path = networks.identity(tmp_path / "m.onnx")
    manifest = write_manifest(tmp_path / "wrong.toml", **fields)
    with pytest.raises(InputError) as caught:
        load_manifest(path, manifest)
    message = str(caught.value)
    assert complaint in message
    assert message.startswith(f"{manifest}: ")
    assert "\n" not in message


@pytest.mark.parametrize("text", ["schema = ", "\xff\xfe", "a = " + "[" * 2000])
def test_what_is_no_toml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"not TOML|not a text file"):
        load_manifest(networks.identity(tmp_path / "m.onnx"), path)


def test_a_tensor_named_twice(tmp_path: Path) -> None:
    path = with_state(tmp_path / "m.onnx", "h", "hn")
    twice = [{"input": "h", "output": "hn"}, {"input": "h", "output": "hn"}]
    with pytest.raises(InputError, match="named twice"):
        load_manifest(path, write_manifest(tmp_path / "a.toml", states=twice))


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 257, 1, 2), "bins parts"),
        ((1, 2, 257), "parts bins"),
        ((1, 514), "parts bins"),
        ((257, 2), "bins parts"),
    ],
)
def test_spectra_stand_in_two_axes_or_in_one(tmp_path: Path, shape: tuple[int, ...], layout: str) -> None:
    path = networks.identity(tmp_path / "m.onnx", shape)
    manifest = load_manifest(path, write_manifest(tmp_path / "a.toml", stft={"n_fft": 512, "hop": 128}))
    assert [port.layout for port in manifest.ports] == [layout, layout]
    assert (manifest.frame, manifest.delay) == (128, 384)


# --- what is shipped -------------------------------------------------------------------------------------------------


def test_every_shipped_manifest_is_one() -> None:
    assert "gtcrn" in list_models()
    for name in list_models():
        path = directory() / f"{name}.toml"
        manifest = schema.parse(path.read_bytes(), str(path))
        assert manifest.name == name
        assert manifest.licence
        assert manifest.sample_rate


def test_a_shipped_network_is_loaded_by_its_name() -> None:
    shipped = [name for name in list_models() if (directory() / f"{name}.onnx").is_file()]
    if not shipped:
        pytest.skip("no network is shipped")
    for name in shipped:
        assert load_manifest(name).name == name


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (
            "gtcrn",
            "Fetch it (docs/models.md), then: rtsynth live path/to/gtcrn.onnx --manifest gtcrn",
        ),
        ("gtcrm", "no model named 'gtcrm'. Did you mean 'gtcrn'?"),
        ("nowhere/x.onnx", "no model file nowhere/x.onnx"),
        ("nowhere/x.toml", "cannot read nowhere/x.toml: No such file or directory"),
    ],
)
def test_what_is_not_there(model: str, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        load_manifest(model)
    assert complaint in str(caught.value)


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    path = networks.identity(tmp_path / "m.onnx")
    for name in ("nothing", "no/such.toml"):
        with pytest.raises(InputError, match=r"no model named|no manifest file"):
            load_manifest(path, name)


def test_no_runtime_is_loaded_to_read_one(tmp_path: Path) -> None:
    """The process that plays reads manifests; onnxruntime and scipy stay out of it."""
    path = networks.gru(tmp_path / "m.onnx")
    code = (
        "import sys; from rtsynth.inference.manifest import load_manifest; import rtsynth.inference.pipeline; "
        f"load_manifest({str(path)!r}); "
        "print([name for name in ('onnxruntime', 'onnx', 'scipy', 'numba') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_field_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "models.md").read_text()
    for table in (schema.Manifest, schema.Port, schema.State, schema.Stft, schema.Export):
        for field in msgspec.structs.fields(table):
            assert f"`{field.name}`" in text, f"{table.__name__}.{field.name}"
