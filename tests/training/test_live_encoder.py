"""The live encoder: features against numpy's transforms, frames against the whole, its look-ahead, its training."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.codec.event import KNOTS, LN_F0, RAMP, RATE, SHAPE, check_events, trajectory  # noqa: E402
from rtsynth.codec.live import MARK, NUMBERS, STEPS, encode_live, events_of  # noqa: E402
from rtsynth.codec.quantiser import Quantiser  # noqa: E402
from rtsynth.errors import InputError  # noqa: E402
from rtsynth.inference.model import StreamingModel  # noqa: E402
from rtsynth.inference.pipeline import Pipeline  # noqa: E402
from rtsynth.training import article_training, corpus, features  # noqa: E402
from rtsynth.training.codec import Recipe, Training, load_network, train  # noqa: E402
from rtsynth.training.export import Exported, export_module  # noqa: E402
from rtsynth.training.features import FRAME, LONG, SHORT, Features, Fourier  # noqa: E402
from rtsynth.training.live_encoder import LOOK_AHEAD, LiveEncoder, numbers  # noqa: E402
from rtsynth.training.live_losses import pitch_shares, quantised, render  # noqa: E402
from rtsynth.training.renderer import Renderer  # noqa: E402
from tests.training import article_sounds  # noqa: E402
from tests.training.article_sounds import words  # noqa: E402

FRAMES = 12
BRIEF = article_training.Recipe(article_sounds.TINY, updates=2, rate=1e-2)
TINY = Recipe(width=16, analysed_updates=3, sounding_updates=2, analysed_streams=2, analysed_frames=8,
              sounding_streams=1, sounding_frames=8, noise_seconds=0.2, speeds=(1.0,))  # fmt: skip


def published_weights(training: article_training.Training) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in training.model.parameters()])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def voice(seconds: float = 1.0, hertz: float = 140.0, seed: int = 1) -> np.ndarray:
    """A buzz that glides up a third, and noise beside it: (N,) float32 at 16 kHz."""
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * hertz * np.cumsum(1 + 0.25 * t / seconds) / RATE
    buzz = sum(np.cos(h * phase) / h for h in range(1, 20))
    noise = np.random.default_rng(seed).standard_normal(t.size)
    return (0.1 * buzz * (1 + np.sin(2 * np.pi * 3 * t)) + 0.003 * noise).astype(np.float32)


def tensor(samples: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None, None]


@pytest.fixture(scope="module")
def network() -> LiveEncoder:
    torch.manual_seed(5)
    return LiveEncoder(32).eval()


@pytest.fixture(scope="module")
def exported(network: LiveEncoder, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_module(network, "codec", tmp_path_factory.mktemp("live") / "codec.onnx", runs=10)


# ---- features ----


@pytest.mark.parametrize(("a", "b"), [(32, 32), (16, 32), (2, 4)])
def test_small_matrices_are_the_transform(a: int, b: int) -> None:
    x = torch.randn(3, 2, a * b, generator=torch.Generator().manual_seed(1))
    re, im = Fourier(a, b).parts(x)
    want = np.fft.rfft(x.double().numpy())
    np.testing.assert_allclose(re.numpy() + 1j * im.numpy(), want, atol=2e-6 * np.abs(want).max())


def slow_features(samples: np.ndarray, k: int) -> np.ndarray:
    """(COUNT,) of frame k, one thing after the other, in double precision."""
    end = FRAME * (k + 1)
    padded = np.concatenate([np.zeros(LONG), samples.astype(float)])  # sample n at LONG + n
    found = []
    for ago in features.AGO:
        stretch = padded[LONG + end - ago - SHORT : LONG + end - ago] * features.window(
            SHORT, features.SHORT_FALL
        )
        power = np.abs(np.fft.rfft(stretch)) ** 2
        found.append(
            (np.log(features.mel_bands() @ power + features.FLOOR) - features.MIDDLE) / features.SPREAD
        )
    for size, fall, lags in (
        (LONG, features.LONG_FALL, features.LONG_LAGS),
        (SHORT, features.SHORT_FALL, features.SHORT_LAGS),
    ):
        power = np.abs(np.fft.rfft(padded[LONG + end - size : LONG + end] * features.window(size, fall))) ** 2
        correlation = np.fft.irfft((power + 1e-12) ** features.COMPRESSED)
        found.append(correlation[lags] / correlation[0])
    return np.concatenate(found)


def test_features_are_what_numpy_says() -> None:
    samples = voice()[: FRAMES * FRAME]
    whole = Features().whole(tensor(samples))[0].numpy()
    assert whole.shape == (features.COUNT, FRAMES)
    for k in range(FRAMES):
        np.testing.assert_allclose(whole[:, k], slow_features(samples, k), atol=2e-4)


def test_a_period_shows_as_a_peak() -> None:
    samples = voice(hertz=200.0)
    long = Features().whole(tensor(samples[: 41 * FRAME]))[0, 120 : 120 + features.LONG_LAGS.size, 20].numpy()
    period = RATE / (200.0 * (1 + 0.25 * 0.48))  # half a second into the glide
    assert abs(features.LONG_LAGS[long[:70].argmax()] - period) <= 2


# ---- the network as a stream ----


def test_frames_are_the_whole(network: LiveEncoder) -> None:
    samples = tensor(voice()[: FRAMES * FRAME])
    states, parts = network.initial_states(), []
    for k in range(FRAMES):
        y, *states = network(samples[..., k * FRAME : (k + 1) * FRAME], *states)
        parts.append(y)
    late = torch.cat(parts, -1)[..., network.latency :]
    np.testing.assert_allclose(
        late.detach(), network.whole(samples)[..., : late.shape[-1]].detach(), atol=1e-5
    )


def test_the_export_says_what_it_is(exported: Exported) -> None:
    manifest = exported.manifest
    assert (manifest.frame, manifest.sample_rate, manifest.latency) == (FRAME, 16000.0, LOOK_AHEAD - FRAME)
    assert manifest.answers == "records"
    assert exported.parity.error < 1e-5
    assert exported.facts.lookahead <= LOOK_AHEAD
    assert LiveEncoder().state_dict().keys() == LiveEncoder(16).state_dict().keys()
    assert sum(p.numel() for p in LiveEncoder().parameters()) * 4 < 1_000_000


@pytest.mark.parametrize("rate", [16000, 48000, 44100, 8000])
def test_records_come_at_their_time_at_every_rate(exported: Exported, rate: int) -> None:
    """One every 24 ms, whole, of the same events; within 30 ms of what they are of, the record's length included."""
    model = StreamingModel(exported.manifest)
    pipeline = Pipeline(model, rate)
    samples = np.interp(np.arange(rate) / rate, np.arange(RATE) / RATE, voice()).astype(np.float32)
    rng, at, parts = np.random.default_rng(2), 0, []
    while at < len(samples):
        size = int(rng.integers(1, 3 * pipeline.wanted))
        parts.append(pipeline.push(samples[at : at + size]))
        at += size
    out = np.concatenate(parts)[:, 0]
    pipeline.reset()
    np.testing.assert_array_equal(out, pipeline.push(samples)[:, 0])
    fronts = np.flatnonzero((out[: 1 - NUMBERS] == MARK) & (out[NUMBERS - 1 :] == MARK))
    wanted = np.ceil((FRAME * (1 + np.arange(len(fronts))) - model.latency) * rate / RATE)
    np.testing.assert_array_equal(fronts, wanted)
    assert len(fronts) >= 38
    check_events(events_of(out[fronts[:, None] + np.arange(NUMBERS)]))
    if rate >= RATE:
        assert (pipeline.framing + 1 + NUMBERS) / rate <= 0.030


def test_an_event_hears_no_further_than_it_says(exported: Exported) -> None:
    """The future replaced by noise: what acts 25 ms before it, or earlier, is the same; what follows is not."""
    model, samples = StreamingModel(exported.manifest), voice()
    before = encode_live(model, samples)
    for place in (8000, 8001, 8191):
        other = samples.copy()
        other[place:] = np.random.default_rng(place).standard_normal(len(samples) - place)
        after = encode_live(model, other)
        moved = np.flatnonzero((before["vector"] != after["vector"]).any(1))
        first = int(before["time"][moved[0]]) * 64
        assert place - LOOK_AHEAD < first <= place - LOOK_AHEAD + 2 * FRAME


def test_a_whole_sound_is_what_comes_live(exported: Exported) -> None:
    """`encode_live` begins where the sound does: the same events as the stream's, of a sound 368 samples later."""
    model, samples = StreamingModel(exported.manifest), voice()
    events = encode_live(model, samples)
    assert events["time"].tolist() == (STEPS * np.arange(len(events))).tolist()
    assert len(events) == -(-len(samples) // FRAME)
    model.reset()
    late = np.concatenate([np.zeros(FRAME - model.latency, np.float32), samples])
    frames = late[: len(late) // FRAME * FRAME].reshape(-1, FRAME)
    live = events_of(np.stack([model.step(frame)[:NUMBERS, 0] for frame in frames])[1:])
    np.testing.assert_array_equal(live["vector"], events["vector"][: len(live)])


@pytest.mark.parametrize("kind", ["silence", "full-scale square", "constant", "noise", "0.02 s"])
def test_whatever_it_hears_its_events_can_be_played(exported: Exported, kind: str) -> None:
    samples = {
        "silence": np.zeros(RATE),
        "full-scale square": np.sign(np.sin(np.arange(RATE) * 0.05)),
        "constant": np.ones(RATE),
        "noise": np.random.default_rng(1).standard_normal(RATE),
        "0.02 s": voice(0.02),
    }[kind]
    check_events(encode_live(StreamingModel(exported.manifest), samples))


# ---- training ----


def clip(seed: int = 1) -> corpus.Clip:
    return corpus.analysed("made", voice(1.5, seed=seed))


def test_stretches_lie_where_the_analysis_does() -> None:
    """`heard` of a stretch, run through the stream, gives events that act where `wanted` begins."""
    made = clip()
    part = corpus.stretch(made, 30, 10)
    np.testing.assert_array_equal(part.wanted.numpy(), made.samples[30 * 64 : 30 * 64 + 10 * FRAME])
    np.testing.assert_array_equal(
        part.heard[0].numpy()[: 9 * FRAME], made.samples[30 * 64 + LOOK_AHEAD - FRAME :][: 9 * FRAME]
    )
    np.testing.assert_allclose(part.ln_f0.numpy(), made.ln_f0[30 + STEPS : 31 + 10 * STEPS : STEPS])
    louder = corpus.stretch(made, 30, 10, gain=1.0)
    np.testing.assert_allclose(louder.envelope, part.envelope + 1.0, rtol=1e-5)
    np.testing.assert_allclose(louder.heard, part.heard * np.e, rtol=1e-5)
    beyond = corpus.stretch(made, made.steps - 12, 10)
    assert not beyond.wanted[-FRAME:].any()


def test_every_fifth_recording_is_held_out(tmp_path: Path) -> None:
    for n in range(11):
        (tmp_path / f"{n:02d}.wav").touch()
    kept, held_out = corpus.recordings(tmp_path)
    assert [path.stem for path in held_out] == ["00", "05", "10"]
    assert len(kept) == 8
    with pytest.raises(InputError, match="holds 0 recordings"):
        corpus.recordings(tmp_path / "nothing")


def test_pitch_shares_are_the_classes_beside_it(network: LiveEncoder) -> None:
    ln_f0 = torch.log(torch.tensor([[61.0, 140.0, 480.0]]))
    shares = pitch_shares(ln_f0)
    np.testing.assert_allclose(shares.sum(1), 1.0, rtol=1e-5)
    np.testing.assert_allclose((shares * network.classes[:, None]).sum(1), ln_f0, atol=1e-3)


def test_the_rendering_in_training_follows_the_trajectory() -> None:
    """The sound of rows is the sound of the states that the specification says of them."""
    rng = np.random.default_rng(1)
    rows = np.zeros((1, 33, 5))
    rows[0, 0] = rng.uniform(-4, -2, 5)
    rows[0, 1 + RAMP], rows[0, 1 + LN_F0] = [6, 3, 6.5, 2, 6], np.log(rng.uniform(100, 200, 5))
    rows[0, 1 + SHAPE.start : 1 + SHAPE.stop] = rng.standard_normal((len(KNOTS), 5))
    renderer = Renderer(RATE, 1.0)
    sound = render(torch.tensor(rows, dtype=torch.float32), renderer)[0].numpy()
    events = events_of(np.concatenate([np.ones((5, 1)), rows[0].T, np.ones((5, 1))], 1))
    ends = renderer.ends(5 * FRAME // 32).numpy()
    fine = trajectory(events, 31)  # at whole steps: two segments
    fine[:6, 0] = np.interp(
        np.arange(6), [0, 6], [events["gain"][0]] * 2
    )  # training begins at the first target
    fine[6:, 0] = _without_rise(events, 31)[6:]
    states = np.stack([np.interp(ends, np.arange(31), column) for column in fine.T], 1)
    want = renderer(torch.tensor(states[None], dtype=torch.float32))[0].numpy()
    apart = np.abs(sound - want)
    assert apart.max() < 0.05 * np.abs(want).max()  # ramps of 6.5 and so on bend between whole steps
    assert np.median(apart) < 1e-4 * np.abs(want).max()


def _without_rise(events: np.ndarray, steps: int) -> np.ndarray:
    """The gain (steps,) of a voice that stands at its first target from the beginning."""
    at_once = np.concatenate([events[:1], events])
    at_once["time"][1:] += 1
    at_once["vector"][0, RAMP] = 1.0
    return trajectory(at_once, steps + 1)[1:, 0]


def test_the_quantiser_in_training_is_the_file_format_and_lets_gradients_pass() -> None:
    made, quantiser = clip(), Quantiser.load("live-59")
    part = corpus.stretch(made, 60, 8)
    rows = torch.zeros(1, 33, 8)
    rows[0, 0], rows[0, 1], rows[0, 2] = part.envelope.mean(0), 6.0, part.ln_f0
    rows[0, 3:27] = part.envelope - part.envelope.mean(0)
    rows[0, 27:32] = part.logits
    rows.requires_grad_(True)
    level = rows[0, 0].detach().max()[None]
    got = quantised(rows, quantiser, level)
    gaps = np.full((8, 2), STEPS)
    given = rows[0].detach().double().numpy().T
    _, want = quantiser.encode_sequence(gaps, given[:, 0] - float(level), given[:, 1:])
    np.testing.assert_allclose(got[0, 1:].detach().numpy().T, want[:, 1:], atol=1e-5)
    got.sum().backward()
    assert rows.grad is not None
    np.testing.assert_array_equal(rows.grad, torch.ones_like(rows))


def weights(training: Training) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in training.network.parameters()]).numpy()


def test_a_training_that_goes_on_from_its_checkpoint_ends_the_same(tmp_path: Path) -> None:
    clips = [clip(1), clip(2)]
    straight = Training(TINY)
    train(straight, clips)
    broken, path = Training(TINY), tmp_path / "half.pt"
    for _ in range(2):
        broken.step(clips)
    broken.save(path)
    resumed = Training.resume(path)
    assert resumed.update == 2
    train(resumed, clips, checkpoint=path)
    np.testing.assert_array_equal(weights(resumed), weights(straight))
    assert not np.array_equal(weights(resumed), weights(Training(TINY)))
    network = load_network(path)
    samples = tensor(voice()[: 4 * FRAME])
    np.testing.assert_array_equal(
        numbers(network.describe(lambda layer, x: layer.whole(x), samples)).detach(),
        numbers(straight.network.describe(lambda layer, x: layer.whole(x), samples)).detach(),
    )


def test_it_learns() -> None:
    clips = [clip()]
    training = Training(replace(TINY, analysed_updates=40, sounding_updates=1))
    losses = [training.step(clips)["total"] for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_checkpoints_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with pytest.raises(InputError, match="no checkpoint"):
        load_network(path)
    for content in (b"", b"nonsense", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is no checkpoint of a live encoder"):
            load_network(path)
    torch.save({"format": 9}, path)
    with pytest.raises(InputError, match="of format 9, not 1"):
        load_network(path)


RANK = """
import sys, torch
torch.set_num_threads(1)
from tests.training.article_sounds import words
from tests.training.test_live_encoder import BRIEF, TINY, clip, published_weights, weights
from rtsynth.training import article_training
from rtsynth.training.codec import Training
from rtsynth.training.ranks import joined
with joined("cpu") as ranks:
    training = Training(TINY, ranks=ranks)
    for _ in range(2):
        training.step([clip()])
    weights(training).tofile(sys.argv[1] + str(ranks.rank))
    published = article_training.Training(BRIEF, ranks=ranks)
    for _ in range(2):
        published.update([words(1 << 15)])
    published_weights(published).tofile(sys.argv[1] + str(ranks.rank) + "article")
"""


def test_two_processes_keep_the_same_weights(tmp_path: Path) -> None:
    """And not those of one process: each of them has drawn its own. The live encoder's and the published model's."""
    root = Path(__file__).parents[2]
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(script), str(tmp_path / "weights")],
        env=environment, cwd=root, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (np.fromfile(tmp_path / f"weights{rank}", np.float32) for rank in range(2))
    np.testing.assert_array_equal(first, second)
    alone = Training(TINY)
    for _ in range(2):
        alone.step([clip()])
    assert np.abs(first - weights(alone)).max() > 1e-4
    first, second = (np.fromfile(tmp_path / f"weights{rank}article", np.float32) for rank in range(2))
    np.testing.assert_array_equal(first, second)
    published = article_training.Training(BRIEF)
    for _ in range(2):
        published.update([words(1 << 15)])
    assert np.abs(first - published_weights(published)).max() > 1e-4
