"""The raw-speech network: counts, what a step hears and says, training that goes on where it stopped, the stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: docs/export.md")

import torch

from rtsynth.errors import InputError
from rtsynth.sequence import waveform as spec
from rtsynth.sequence.cells import parameter_count
from rtsynth.sequence.waveform import FRAME, HEARD, HIDDEN, SAID, Parameters, SlowGenerator
from rtsynth.training import waveform_stream
from rtsynth.training.cells import CELLS, one_step
from rtsynth.training.mixture import diagonal_loss
from rtsynth.training.waveform import (
    Recipe,
    Training,
    Waveform,
    load_network,
    nats,
    stretches,
    train,
)
from rtsynth.training.waveform_stream import WaveformStream, rounded

SMALL = Recipe(cell="gru", updates=6, streams=4, steps=8, own_updates=3)


def hum(seconds: float, seed: int = 1) -> np.ndarray:
    """Two partials that beat, and a little noise: (N,) at 16 kHz."""
    t = np.arange(round(seconds * 16000)) / 16000
    sound = np.sin(2 * np.pi * 200 * t) + np.sin(2 * np.pi * 331 * t)
    return (0.05 * sound + 0.002 * np.random.default_rng(seed).standard_normal(t.size)).astype(np.float32)


def small(cell: str) -> Waveform:
    """Few units, and larger weights than at the start of a training: what is said depends on what was heard."""
    torch.manual_seed(2)
    network = Waveform(cell, 0.06, hidden=12).eval()
    with torch.no_grad():
        network.readout.weight *= 3.0
    return network


def parameters_of(network: Waveform) -> Parameters:
    weight, bias = (part.detach().double().numpy() for part in (network.readout.weight, network.readout.bias))
    return Parameters(one_step(network.cell.double()), weight, bias, float(network.scale))


@pytest.mark.parametrize(("cell", "count"), [("tanh", 168_400), ("gru", 168_888), ("lstm", 169_065)])
def test_the_cells_have_the_published_sizes(cell: str, count: int) -> None:
    network = Waveform(cell)
    assert sum(weight.numel() for weight in network.cell.parameters()) == count
    assert parameter_count(cell, HEARD, HIDDEN[cell]) == count
    raw, _ = network(torch.zeros(3, 2, HEARD))
    assert raw.shape == (3, 2, 420)


def test_a_step_hears_the_twenty_before_the_ten_it_says() -> None:
    heard, follows = stretches(torch.arange(2.0 * (HEARD + 3 * SAID)).reshape(2, -1))
    assert heard.shape == (3, 2, HEARD)
    assert follows.shape == (3, 2, SAID)
    assert heard[1, 0].tolist() == list(range(10, 30))
    assert follows[1, 0].tolist() == list(range(30, 40))


def test_training_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    recordings, kept = [hum(0.5), hum(0.4, 2)], tmp_path / "w.pt"
    whole = Training(SMALL, recordings)
    before = nats(whole.network, recordings)
    train(whole)
    halves = Training(SMALL, recordings)
    while halves.update < 3:  # in the middle of a pass: states go over
        halves.step()
    assert halves.update % halves.passes_updates
    halves.save(kept)
    resumed = Training.resume(kept, recordings)
    train(resumed, checkpoint=kept)
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert nats(whole.network, recordings) < before - 0.5
    network, recipe = load_network(kept)
    assert recipe == SMALL
    assert nats(network, recordings) == nats(whole.network, recordings)


def test_states_go_from_one_update_to_the_next() -> None:
    """Nothing is learned at a rate of 0: two updates are one stretch of twice the length."""
    recipe = Recipe(cell="gru", updates=2, streams=2, steps=8, rate=0.0, gain_db=0.0)
    training = Training(recipe, [hum(0.2)])
    first, second = (training._stretch(0, place) for place in range(2))
    heard, follows = stretches(torch.cat([first, second[:, HEARD:]], dim=1))
    whole = diagonal_loss(training.network(heard)[0], follows).mean()
    assert float(whole.detach()) == pytest.approx((training.step() + training.step()) / 2, abs=1e-5)


def test_the_loss_is_that_of_the_steps_one_by_one() -> None:
    """Whole recordings in torch, against cells and densities in NumPy, sample by sample."""
    network, sound = small("lstm"), hum(0.02)
    parameters = parameters_of(small("lstm"))
    state, losses = parameters.cell.start(), []
    scaled = sound.astype(float) / parameters.scale
    for place in range(HEARD, len(sound) - SAID + 1, SAID):
        state = parameters.cell.step(scaled[place - HEARD : place], state)
        mixed = spec.mixture.diagonal(parameters.W @ state[0] + parameters.b, SAID)
        losses.append(-spec.mixture.log_density(mixed, scaled[place : place + SAID]))
    assert nats(network, [sound]) == pytest.approx(float(np.mean(losses)), abs=1e-4)


def test_own_draws_take_the_place_of_what_was_heard() -> None:
    """Whole tens, as often as asked; the next step hears the same ten as its past; the first was heard."""
    training = Training(Recipe(cell="gru", updates=2, streams=2, steps=40, own=0.5), [hum(1.0)])
    heard, _ = stretches(training._stretch(0, 0))
    mixed = training._mixed(heard, None)
    assert torch.equal(mixed[0], heard[0])
    assert torch.equal(mixed[1:, :, :SAID], mixed[:-1, :, SAID:])
    other = (mixed[1:, :, SAID:] != heard[1:, :, SAID:]).float().mean(dim=-1)
    assert set(other.flatten().tolist()) == {0.0, 1.0}
    assert 0.2 < float(other.mean()) < 0.8  # 78 of them: 5 sigma


def test_noise_on_the_weights_is_taken_off_again(tmp_path: Path) -> None:
    training = Training(Recipe(cell="tanh", updates=2, streams=2, steps=4, noise=0.1, rate=0.0), [hum(0.3)])
    before = [weight.detach().clone() for weight in training.network.parameters()]
    training.step()
    for weight, kept in zip(training.network.parameters(), before, strict=True):
        torch.testing.assert_close(weight, kept, atol=1e-6, rtol=0)


def test_too_little_sound_and_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too little"):
        Training(SMALL, [hum(0.01)])
    path = tmp_path / "w.pt"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError):
        load_network(path)
    torch.save({"format": 1, "kind": "waveform", "recipe": {"cell": "gru"}, "weights": {}}, path)
    with pytest.raises(InputError, match="damaged"):
        load_network(path)


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("bias", [0.0, 0.8])
def test_the_stream_is_the_slow_generator(cell: str, bias: float) -> None:
    """Six frames of sound, six of silence; the specification in float64."""
    network = small(cell)
    stream = WaveformStream(network)
    states = dict(zip(stream.state_names, stream.initial_states(), strict=True))
    states |= {"seed": torch.tensor([5]), "bias": torch.tensor([bias]), "alone": torch.tensor([1])}
    heard = np.concatenate([hum(0.06), np.zeros(6 * FRAME, np.float32)]).reshape(-1, FRAME)
    carried, said = tuple(states.values()), []
    with torch.no_grad():
        for frame in heard:
            out, *carried = stream(torch.from_numpy(frame)[None, None], *carried)
            said.append(out[0, 0].numpy())
    slow = SlowGenerator(parameters_of(small(cell)), seed=5, bias=bias)
    wanted = np.stack([slow.frame(frame) for frame in heard])
    np.testing.assert_allclose(np.stack(said), wanted, atol=2e-5 * np.abs(wanted).max())
    assert wanted[-1].std() > 1e-4  # it goes on


def test_draws_in_torch_are_the_draws_in_numpy() -> None:
    for seed, first in ((0, 0), (7, 160), (2**31 - 2, 10**12), (2**40 + 3, 48)):
        uniform, normals = waveform_stream.draws(torch.tensor([seed]), torch.tensor([first]))
        wanted = spec.draws(seed, first, 16)
        np.testing.assert_array_equal(uniform[:, 0].numpy(), wanted[0].astype(np.float32))
        np.testing.assert_allclose(normals.numpy(), wanted[1], rtol=0, atol=1e-6)


def test_rounded_weights_are_exact_in_half_precision() -> None:
    for weight in rounded(small("gru")).parameters():
        assert torch.equal(weight, weight.half().float())
