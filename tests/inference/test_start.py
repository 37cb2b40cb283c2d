"""States that start as something else than zeros: in a manifest, and chosen for one run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from rtsynth.errors import InputError, UsageError
from rtsynth.inference.handshake import Order
from rtsynth.inference.live import LiveModel
from rtsynth.inference.manifest import load_manifest, started
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.steppers import CpuStepper, PlainStepper
from tests.inference import networks

pytest.importorskip("onnxruntime", reason="running networks needs onnxruntime")

POLE, FRAME = 0.9, 64


def ringing(start: float) -> np.ndarray:
    """What a one-pole filter says to silence when its last sample was `start`."""
    return start * POLE ** np.arange(1, FRAME + 1)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return networks.one_pole(tmp_path / "m.onnx", pole=POLE)


def test_a_state_starts_as_its_manifest_says(network: Path) -> None:
    stated = 'schema = 1\nname = "m"\n[[states]]\ninput = "h"\noutput = "h_out"\nstart = 0.5\n'
    names = [(state.input, state.output) for state in load_manifest(network).states or ()]
    network.with_suffix(".toml").write_text(
        stated.replace('"h"', f'"{names[0][0]}"').replace('"h_out"', f'"{names[0][1]}"')
    )
    model = StreamingModel(load_manifest(network))
    silence = np.zeros(FRAME, np.float32)
    np.testing.assert_allclose(model.step(silence)[:, 0], ringing(0.5), rtol=1e-5)
    assert np.abs(model.step(silence)).max() < 0.01
    model.reset()
    np.testing.assert_allclose(model.step(silence)[:, 0], ringing(0.5), rtol=1e-5)


@pytest.mark.parametrize("stepper", [PlainStepper, CpuStepper])
def test_every_stepper_starts_there_again_and_again(network: Path, stepper: type) -> None:
    plain = load_manifest(network)
    (state,) = plain.states or ()
    made = stepper(started(plain, {state.input: -0.25}))
    for _ in range(2):
        said = made.step(np.zeros(plain.ports[0].shape, np.float32)).reshape(-1)
        np.testing.assert_allclose(said, ringing(-0.25), rtol=1e-5)
        made.step(np.ones(plain.ports[0].shape, np.float32))
        made.reset()


def test_a_worker_is_told(network: Path) -> None:
    """By the order that it is started with; that it acts on it: tests/cli/test_waveform.py."""
    (state,) = load_manifest(network).states or ()
    model = LiveModel(network, start={state.input: 0.5})
    try:
        model.prepare(48000.0, 64)
        order = model._order(model._prepared.link, 48000.0)
        assert msgspec.json.decode(msgspec.json.encode(order), type=Order).start == {state.input: 0.5}
        assert model.manifest.states is not None
        assert model.manifest.states[0].start == 0.5
    finally:
        model.close()


def test_no_such_state_and_no_such_number(network: Path) -> None:
    plain = load_manifest(network)
    assert started(plain, {}) is plain
    with pytest.raises(UsageError, match="no state 'seed'"):
        LiveModel(network, start={"seed": 1.0})
    (state,) = plain.states or ()
    ports = f'[[states]]\ninput = "{state.input}"\noutput = "{state.output}"\n'
    for wrong in ("nan", "inf", "1e300", '"one"'):
        network.with_suffix(".toml").write_text(f'schema = 1\nname = "m"\n{ports}start = {wrong}\n')
        with pytest.raises(InputError, match="start"):
            load_manifest(network)
