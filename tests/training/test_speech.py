"""Reading aloud: the step is the network unrolled, what is stored is what was compared, training resumes to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

import torch

from rtsynth.errors import InputError, UsageError
from rtsynth.sequence.network import StepNetwork
from rtsynth.sequence.speech import ROOM, Reader, Speaker, reader_path
from rtsynth.sequence.spelling import LETTERS, reading, symbols
from rtsynth.sequence.window import is_past
from rtsynth.training import speech_corpus
from rtsynth.training.speech import Recipe, Training, losses_of, train
from rtsynth.training.speech_corpus import Clip, Scale, batch
from rtsynth.training.speech_export import Step, export, rounded, states_of
from rtsynth.training.speech_model import BANDS, VOICE, SpeechNetwork, look

TEXT = "a few words to say, no more."


def scale() -> Scale:
    rng = np.random.default_rng(1)
    return Scale(
        *(
            np.stack((rng.standard_normal(n), rng.uniform(0.5, 2.0, n))).astype(np.float32)
            for n in (BANDS, VOICE)
        )
    )


def network() -> SpeechNetwork:
    torch.manual_seed(1)
    return SpeechNetwork().eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("say") / "tiny.onnx"
    export(network(), scale(), path, "made here")
    return path


@pytest.fixture
def speaker(exported: Path) -> Speaker:
    return Speaker(exported)


def clips(count: int = 12) -> list[Clip]:
    """A language of one frame a letter, each letter a spectrum of its own."""
    rng = np.random.default_rng(1)
    spectra, voices = rng.standard_normal((40, BANDS)), rng.standard_normal((40, VOICE))
    made = []
    for index in range(count):
        text = symbols("".join(rng.choice(list(LETTERS), int(rng.integers(5, 9)))))
        kappa = 1.0 + np.arange(len(text))
        mel, voice = (np.repeat(table[text], 2, axis=0) for table in (spectra, voices))
        made.append(
            Clip(
                f"{index:03d}",
                text,
                mel.astype(np.float16),
                kappa.astype(np.float32),
                voice.astype(np.float16) if index % 2 else None,
            )
        )
    return made


@torch.no_grad()
def test_steps_are_the_network_over_the_whole_sentence() -> None:
    """Fed its own frames and positions, the whole says what 60 steps say; 1e-5, of numbers up to about 10."""
    net, by = network(), scale()
    step = Step(net, by)
    numbers = torch.from_numpy(symbols(TEXT))
    codes = torch.zeros(1, ROOM, 2 * net.sizes.reader)
    codes[0, : len(numbers)] = net.reader(numbers[None])[0]
    states = [torch.zeros(shape) for shape in states_of(net.sizes).values()]
    mels, voices, kappas = [], [], []
    for _ in range(60):
        mel, _, voice, _, *states = step(codes, torch.zeros(2, BANDS), *states)
        mels.append((mel - step.mel_mean) / step.mel_deviation)
        voices.append((voice - step.voice_mean) / step.voice_deviation)
        kappas.append(states[4][0])
    before = torch.stack([torch.zeros(BANDS), *(frames[1] for frames in mels[:-1])])[:, None]
    said = net(numbers[None], torch.tensor([len(numbers)]), before, torch.stack(kappas))
    for found, wanted in (
        (said.mel[:, 0], torch.stack(mels).reshape(60, -1)),
        (said.voice[:, 0], torch.stack(voices).reshape(60, -1)),
        (said.kappa, torch.stack(kappas)),
    ):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@torch.no_grad()
def test_looking_is_the_soft_window() -> None:
    """Against the window of rtsynth.sequence, step by step."""
    from rtsynth.sequence.window import SoftWindow
    from rtsynth.training.speech_export import window_of
    from rtsynth.training.window import weights_of

    net = network()
    window = SoftWindow(**weights_of(window_of(net)))  # type: ignore[arg-type]
    rng = np.random.default_rng(2)
    codes, kappa = rng.standard_normal((1, 9, 128)), window.initial()
    for _ in range(20):
        h = rng.standard_normal(net.sizes.first)
        context, kappa, _ = window.step(h, kappa, codes[0])
        found = look(torch.tensor(codes), torch.tensor(kappa[None]), net.width.double())
        np.testing.assert_allclose(found[0, 0], context, atol=1e-6)


@torch.no_grad()
def test_sentences_of_a_batch_do_not_see_each_other() -> None:
    net = network()
    short, long = symbols("short."), symbols("a much longer one, this.")
    padded = np.zeros((2, len(long)), np.int64)
    padded[0, : len(short)], padded[1] = short, long
    codes = net.reader(torch.from_numpy(padded), torch.tensor([len(short), len(long)]))
    torch.testing.assert_close(codes[0, : len(short)], net.reader(torch.from_numpy(short)[None])[0])
    assert not codes[0, len(short) :].any()


def test_what_is_stored_is_what_was_compared(exported: Path) -> None:
    """8 bits a weight, and the same numbers to the bit: the packed files against the rounded module."""
    net = network()
    rounded(net)
    numbers = symbols(TEXT)
    codes = Reader(reader_path(exported)).codes(numbers)
    with torch.no_grad():
        meant = net.reader(torch.from_numpy(numbers)[None])[0].numpy()
    np.testing.assert_allclose(codes[: len(numbers)], meant, atol=1e-5)
    count = sum(p.numel() for p in net.parameters())
    size = exported.stat().st_size + reader_path(exported).stat().st_size
    assert count < size < 1.1 * count
    assert size < 1_000_000
    plain = network().mel.weight
    off = (net.mel.weight - plain).abs().amax(1) / plain.abs().amax(1)
    assert 0.0 < off.max() <= 0.5 / 127 + 1e-6


def test_the_window_goes_to_the_end_and_stops_there(speaker: Speaker) -> None:
    """κ never falls; the last step is the first whose place after the text weighs most."""
    said = list(speaker.speak(TEXT))
    kappa = np.array([step.kappa for step in said])
    assert (np.diff(kappa) > 0).all()
    end = len(symbols(TEXT))
    assert kappa[-2] <= end + 0.5 < kappa[-1]
    assert all(step.mel.shape == (2, BANDS) and step.voice.shape == (2, VOICE) for step in said)
    assert len(said[0].phi) == end
    codes = speaker.reader.codes(symbols(TEXT))
    speaker.network.reset()
    past = [is_past(speaker.network.step(codes=codes, noise=0.0)["phi"][: end + 1]) for _ in range(200)]
    first = past.index(True) + 1
    skipped = first - len(said)  # before the speech begins
    assert 0 < skipped < 10


def test_a_text_is_its_sentences(speaker: Speaker) -> None:
    both = list(speaker.speak("One thing. Another thing!"))
    assert [step.sentence for step in both] == sorted(step.sentence for step in both)
    second = [step.mel for step in both if step.sentence == 1]
    alone = [step.mel for step in speaker.speak("Another thing!")]
    np.testing.assert_array_equal(second, alone)


def test_one_seed_one_take(speaker: Speaker) -> None:
    def take(**manner: float) -> np.ndarray:
        return np.concatenate([step.mel for step in speaker.speak(TEXT, **manner)])  # type: ignore[arg-type]

    assert np.array_equal(take(seed=1, bias=0.5), take(seed=1, bias=0.5))
    assert not np.array_equal(take(seed=1, bias=0.5)[:9], take(seed=2, bias=0.5)[:9])
    assert np.array_equal(take(seed=1), take(seed=2))
    likeliest = take()[:20]
    spreads = [float(np.abs(take(bias=bias)[:20] - likeliest).mean()) for bias in (0.0, 1.0, 2.0)]
    assert spreads[0] > spreads[1] > spreads[2] > 0.0


def test_speed_is_how_fast_the_window_goes(speaker: Speaker) -> None:
    steps = [len(list(speaker.speak(TEXT, speed=speed))) for speed in (0.5, 1.0, 2.0)]
    assert steps[0] > 1.5 * steps[1] > 2.0 * steps[2]


@pytest.mark.parametrize("manner", [{"speed": 0.4}, {"speed": float("nan")}, {"bias": -1.0}, {"bias": 101.0}])
def test_manners_out_of_range(speaker: Speaker, manner: dict) -> None:
    with pytest.raises(UsageError, match="want"):
        speaker.speak(TEXT, **manner)


def test_a_window_that_stands_still_is_left(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a window that never moves. The sentence is cut after so many steps a character, and counted."""
    speaker = Speaker(exported)

    def stuck(**inputs: object) -> Iterator[dict]:
        return {"mel": np.zeros((2, BANDS)), "voice": np.zeros((2, VOICE)), "phi": np.zeros(ROOM + 1)}

    monkeypatch.setattr(speaker.network, "step", stuck)
    assert list(speaker.speak("One. Two.")) == []
    assert speaker.cut == 2


def test_other_files_are_refused(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="speech reader"):
        Speaker(reader_path(exported))
    with pytest.raises(InputError, match="no reader"):
        Reader(exported)
    lonely = tmp_path / "alone.onnx"
    lonely.write_bytes(exported.read_bytes())
    with pytest.raises(InputError):
        Speaker(lonely)
    assert StepNetwork(exported, "speech").card == "made here"


def test_it_learns() -> None:
    """A made-up language of 26 spectra: what it is shown again and again it says, and where it is in it."""
    recipe = Recipe(updates=40, sentences=2, warming=3, rate=1e-2, forget=0.0)
    training = Training(recipe, clips(3))
    losses = [training.step() for _ in range(recipe.updates)]
    for name in ("mel", "voice", "kappa"):
        assert losses[-1][name] < 0.6 * losses[0][name]
    assert training.done


def test_a_training_goes_on_to_the_bit(tmp_path: Path) -> None:
    recipe, made = Recipe(updates=6, sentences=4, warming=2), clips()
    whole = train(Training(recipe, made))
    path = tmp_path / "say.pt"
    begun = Training(recipe, made)
    for _ in range(3):
        begun.step()
    begun.save(path)
    going_on = train(Training.resume(path, made))
    for one, other in zip(whole.parameters(), going_on.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_is_exported_is_an_average() -> None:
    """The mean of all weights so far; from `memory` updates on, an exponential one."""
    training = Training(Recipe(updates=5, sentences=2, memory=3.0), clips(5))
    seen = []
    for _ in range(5):
        training.step()
        seen.append(training.network.mel.bias.detach().clone())
    mean = torch.stack(seen[:3]).mean(0)
    wanted = torch.lerp(torch.lerp(mean, seen[3], 1 / 3), seen[4], 1 / 3)
    torch.testing.assert_close(training.average.mel.bias, wanted)


def test_what_is_not_there_is_not_learned_from() -> None:
    """Steps past a recording's end, and voices that were not analysed, change no loss."""
    net, made = network(), clips(4)
    by = speech_corpus.scale(made)
    given = batch(made, by)
    said = net(given.symbols, given.lengths, given.before, given.kappa)
    spoiled = given._replace(
        mel=given.mel + 100.0 * (1.0 - given.there),
        voice=given.voice + 100.0 * (1.0 - given.there * given.analysed),
    )
    wanted, found = losses_of(said, given), losses_of(said, spoiled)
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    assert not torch.equal(losses_of(said, given._replace(mel=given.mel + 1.0))["mel"], wanted["mel"])


def test_a_reading_is_what_is_trained_on() -> None:
    assert reading("Mr. Smith").sentences == ["mister smith."]
