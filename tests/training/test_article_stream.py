"""The published codec as it is used: exported graphs, half windows, events and back; held against plain arithmetic."""

from __future__ import annotations

import math
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
pytest.importorskip("onnx", reason="export needs onnx: docs/export.md")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.codec.article import GENERATOR, METADATA, ArticleCodec, read_scheme  # noqa: E402
from rtsynth.codec.article_windows import GAINS, TRIES, HalfWindows, Scheme, player  # noqa: E402
from rtsynth.codec.event import Events, Kind, check_events  # noqa: E402
from rtsynth.codec.storage import EventFile, read_events, write_events  # noqa: E402
from rtsynth.errors import InputError, RateError, ThresholdError  # noqa: E402
from rtsynth.training import article_export  # noqa: E402
from rtsynth.training.article import Size  # noqa: E402
from rtsynth.training.article_export import Written, export, rounded, scheme  # noqa: E402
from rtsynth.training.article_model import Article, Networks  # noqa: E402
from rtsynth.training.article_training import Recipe, Training, train  # noqa: E402
from tests.data import shared_files  # noqa: E402
from tests.training.article_sounds import PUBLISHED, TINY, words  # noqa: E402

Array = NDArray[np.float64]
LATENCY = TINY.window + 2048 - 256


@pytest.fixture(scope="module")
def model() -> Article:
    """A little trained, so that its events are of some use."""
    return rounded(
        train(
            Training(Recipe(TINY, updates=6, windows=1, together=4, alone=0.0, rate=1e-2)),
            [words(1 << 15, 3)],
        ).model
    )


@pytest.fixture(scope="module")
def written(model: Article, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return export(model, tmp_path_factory.mktemp("article") / "tiny.onnx", card="a test")


@pytest.fixture(scope="module")
def codec(model: Article) -> ArticleCodec:
    """The networks in torch: no graph between them and what is tested."""
    return ArticleCodec(scheme(model.size, "0"), Networks(model))


@pytest.fixture(scope="module")
def published() -> ArticleCodec:
    torch.manual_seed(3)
    model = Article(PUBLISHED)
    model.generator.heads[
        "amplitudes"
    ].bias.data += 300.0  # untrained events are 1e-5: too quiet to take anything off
    model.encoder.switch.bias.data += 1.0
    return ArticleCodec(scheme(PUBLISHED, "0"), Networks(model))


# ---- the slow specification ----


def stft(sound: Array) -> NDArray[np.complex128]:
    """(1024, n / 256), every frame for itself."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    padded = np.concatenate([sound, np.zeros(2048)])
    return np.stack(
        [
            np.fft.rfft(padded[k : k + 2048] * window)[:-1] / math.sqrt(2048)
            for k in range(0, sound.size, 256)
        ],
        1,
    )


def event_sound(
    codec: ArticleCodec, vector: NDArray[np.float32], frame: int, length: int, noise: NDArray
) -> Array:
    """One event at amplitude 1 in (length,), cut at its window's edges; its delay a sum over all of its samples."""
    size = codec.scheme
    wave, shift = codec.networks.generate(vector, noise)
    points = 1 << (wave.size + 511).bit_length()  # of the periodic interpolation
    t = np.arange(1 - wave.size, wave.size + 512) - (256.0 + shift)
    late = np.convolve(wave, np.sin(np.pi * t) / (points * np.tan(np.pi * t / points)), "valid")
    begin, first = frame // size.half * size.half * 256, (frame - 1) * 256
    sound = np.zeros(length + size.window)
    late = late[max(0, begin - first) :][: begin + size.window - max(begin, first)]
    sound[max(begin, first) :][: late.size] = late
    return sound[:length]


def noise_of(frame: int) -> NDArray[np.float32]:
    return 2.0 * np.random.default_rng([1, frame]).random(TINY.burst, np.float32) - 1.0


def windows_by_hand(codec: ArticleCodec, sound: Array) -> list[tuple[int, float, NDArray[np.float32]]]:
    """Mended: every spectrum anew and of everything, every gain tried on the whole sum."""
    size, taken, last = codec.scheme, [], -(10**6)
    length = sound.size + 2 * size.window
    target, said = np.abs(stft(np.pad(sound, (0, 2 * size.window)))), np.zeros(length)
    for start in range(0, -(-sound.size // 256), size.half):
        here = slice(start, start + size.frames)
        free = np.zeros(size.frames, np.float32)
        free[: size.half] = 1.0
        free[np.abs(start + np.arange(size.frames) - last) <= size.refractory] = 0.0
        found, failed = 0, 0
        while found < size.steps and failed < TRIES:
            residual = (target - np.abs(stft(said)))[:, here]
            frame, amplitude, vector = codec.networks.pick(residual.astype(np.float32), free)
            if amplitude <= 0.0:
                break
            free[max(0, frame - size.refractory) : frame + size.refractory + 1] = 0.0
            one = event_sound(codec, vector, start + frame, length, noise_of(start + frame))
            sums = [said + share * amplitude * one for share in GAINS]
            energies = [np.sum((target - np.abs(stft(s)))[:, here] ** 2) for s in sums]
            best = int(np.argmin(energies))
            if energies[best] >= np.sum(residual**2):
                failed += 1
                continue
            said, found = sums[best], found + 1
            taken.append((start + frame, GAINS[best] * amplitude, vector))
        last = max([last, *(frame for frame, _, _ in taken)])
    return sorted(taken, key=lambda event: event[0])


def as_published_by_hand(codec: ArticleCodec, sound: Array) -> tuple[list[tuple[int, float]], list[float]]:
    """The article's streaming: one spectrogram, whose windows are overwritten with their residuals; their energies."""
    size, taken, energies = codec.scheme, [], []
    noise = np.random.default_rng(1)
    heard = np.abs(stft(sound))
    free = (np.arange(size.frames) < size.half).astype(np.float32)
    for start in range(0, heard.shape[1] - size.frames, size.half):
        residual = heard[:, start : start + size.frames]
        found = []
        energies.append(float(np.sum(residual**2)))
        for _ in range(size.steps):
            frame, amplitude, vector = codec.networks.pick(residual.astype(np.float32), free)
            if amplitude > 0.0:
                hiss = 2.0 * noise.random(size.burst, np.float32) - 1.0
                one = event_sound(codec, vector, start + frame, (start + size.frames) * 256, hiss)
                window = np.concatenate([one[start * 256 :], np.zeros(2048)])
                residual = residual - amplitude * np.abs(stft(window))[:, : size.frames]
                found.append((start + frame, amplitude))
        heard[:, start : start + size.frames] = residual
        taken += sorted(found, key=lambda event: event[0])
    return taken, energies


def frames_of(events: Events) -> NDArray[np.int64]:
    return events["time"] // 4  # 4 ms a control step, 16 ms a frame


# ---- the stream ----


def test_the_stream_is_windows_by_hand(codec: ArticleCodec) -> None:
    sound = words(22_000)
    events = codec.encode(sound, 16_000)
    meant = windows_by_hand(codec, sound.astype(float))
    assert len(events) >= 12
    assert frames_of(events).tolist() == [frame for frame, _, _ in meant]
    np.testing.assert_allclose(np.exp(events["gain"]), [gain for _, gain, _ in meant], rtol=2e-3)
    np.testing.assert_allclose(events["vector"], [vector for _, _, vector in meant], atol=2e-3)


def test_the_published_stream_is_windows_by_hand_and_leaves_the_end(published: ArticleCodec) -> None:
    sound = words(36_000)
    stream = published.stream()
    events = np.concatenate([stream.push(sound), stream.finish()])
    meant, energies = as_published_by_hand(published, sound.astype(float))
    assert len(energies) > 1
    np.testing.assert_allclose([window[0] for window in stream.energies], energies, rtol=1e-6)
    assert frames_of(events).tolist() == [frame for frame, _ in meant]
    np.testing.assert_allclose(np.exp(events["gain"]), [gain for _, gain in meant], rtol=2e-3)
    assert (
        frames_of(events).max() < 36_000 // 256 - TINY.frames // 2
    )  # the defect: half a window is never encoded


def test_pieces_of_any_length_give_the_same_events(codec: ArticleCodec) -> None:
    sound, rng = words(22_000), np.random.default_rng(5)
    whole = codec.encode(sound, 16_000)
    for _ in range(3):
        stream, at, found = codec.stream(level=float(np.abs(sound).max())), 0, []
        while at < sound.size:
            count = int(rng.choice([1, 100, 256, 5000]))
            found.append(stream.push(sound[at : at + count]))
            at += count
        found.append(stream.finish())
        assert np.array_equal(np.concatenate(found), whole)


def test_events_come_when_the_stated_samples_are_there_and_none_sooner(codec: ArticleCodec) -> None:
    sound = words(30_000)
    assert codec.scheme.latency == LATENCY
    stream = codec.stream()
    assert stream.push(sound[: LATENCY - 1]).size == 0
    first = stream.push(sound[LATENCY - 1 : LATENCY])
    assert first.size > 0
    assert frames_of(first).max() < TINY.frames // 2
    other = codec.stream()
    replaced = np.concatenate([sound[:LATENCY], np.random.default_rng(1).random(9000, np.float32)])
    assert np.array_equal(other.push(replaced)[: first.size], first)


def test_what_is_held_does_not_grow(codec: ArticleCodec) -> None:
    stream = codec.stream()
    for _ in range(12):
        stream.push(np.zeros(4000, np.float32))
        assert stream._heard.size <= LATENCY
        assert stream._said.size == LATENCY


def test_the_energy_of_the_residual_falls_with_every_event(codec: ArticleCodec) -> None:
    """And it is that of the sum: computed anew from the decoded sound."""
    sound = words(22_000)
    events, stream = codec.encode(sound, 16_000), codec.stream(level=1.0)
    again = np.concatenate([stream.push(sound), stream.finish()])
    assert np.array_equal(events, again)
    assert sum(len(e) - 1 for e in stream.energies) == len(events)
    assert all(b < a for e in stream.energies for a, b in pairwise(e))
    target = np.abs(stft(np.pad(sound.astype(float), (0, TINY.window))))[:, : TINY.frames]
    first = events[frames_of(events) < TINY.frames // 2]
    said = np.abs(stft(codec.decode(first, TINY.window + 2048).astype(float)))[:, : TINY.frames]
    assert stream.energies[0][-1] == pytest.approx(np.sum((target - said) ** 2), rel=1e-4)


def test_the_decoded_sound_is_the_sum_of_the_events(codec: ArticleCodec) -> None:
    events = codec.encode(words(22_000), 16_000)
    whole = codec.decode(events, 30_000)
    single = sum(codec.decode(events[k : k + 1], 30_000).astype(float) for k in range(len(events)))
    slow = sum(
        math.exp(e["gain"]) * event_sound(codec, e["vector"], int(f), 30_000, noise_of(int(f)))
        for e, f in zip(events, frames_of(events), strict=True)
    )
    peak = np.abs(whole).max()
    np.testing.assert_allclose(whole, single, atol=1e-6 * peak)
    np.testing.assert_allclose(whole, slow, atol=2e-5 * peak)
    assert np.array_equal(codec.decode(events, 30_000), whole)  # its noise is the event's
    other = ArticleCodec(codec.scheme, codec.networks, seed=2)
    assert not np.array_equal(other.decode(events, 30_000), whole)


def test_no_two_events_are_nearer_than_two_frames(codec: ArticleCodec, published: ArticleCodec) -> None:
    """32 ms; across windows too. The published one picks a frame again and again."""
    times = np.sort(frames_of(codec.encode(words(60_000), 16_000)))
    assert np.diff(times).min() >= 2
    assert np.diff(np.sort(frames_of(published.encode(words(60_000), 16_000)))).min() == 0


class Clicks:
    """Networks that hear nothing: the last free frame of the first window, the first of the others; an impulse."""

    def __init__(self) -> None:
        self.asked = 0

    def pick(self, residual: NDArray, free: NDArray) -> tuple[int, float, NDArray[np.float32]]:
        self.asked += 1
        frames = np.flatnonzero(free)
        return int(frames[-1 if self.asked == 1 else 0]), 1.0, np.zeros(32, np.float32)

    def generate(self, vector: NDArray, noise: NDArray) -> tuple[NDArray[np.float32], float]:
        return np.eye(1, TINY.event, dtype=np.float32)[0], 0.0


def test_the_end_of_a_window_keeps_the_start_of_the_next_free() -> None:
    sound = np.zeros(20_000, np.float32)
    sound[::256] = 1.0
    found = frames_of(ArticleCodec(replace(scheme(TINY, "0"), steps=1), Clicks()).encode(sound, 16_000))
    assert found.tolist()[:2] == [31, 33]


def test_an_event_sounds_in_its_window_only() -> None:
    """One as long as a window, as the article's are: cut at the window's end, and before its start."""
    size = replace(scheme(TINY, "0"), event=TINY.window)

    class Steady(Clicks):
        def generate(self, vector: NDArray, noise: NDArray) -> tuple[NDArray[np.float32], float]:
            return np.ones(size.event, np.float32), -100.0

    sounding = player(size, Steady(), 1)
    for frame, begin, end in (
        (0, 0, 16_384),
        (40, 40 * 256 - 100, 8192 + 16_384),
        (32, 8192, 8192 + 16_384 - 100),
    ):
        first, sound = sounding.place(np.zeros(32, np.float32), frame)
        where = first + np.flatnonzero(np.abs(sound) > 0.3)
        assert first >= frame // 32 * 8192
        assert first + sound.size <= frame // 32 * 8192 + 16_384
        assert (where[0], where[-1] + 1) == (begin, end if frame else end - 100)


def test_events_are_kept_in_a_file(codec: ArticleCodec, tmp_path: Path) -> None:
    """As they are, and in 4 bits a number: what the generator then makes of them is not far off."""
    events = codec.encode(words(18_000), 16_000)
    told = {}
    for coding in ("float", "file-59"):
        write_events(
            tmp_path / "a.events", EventFile(events, 16_000, 18_000, "article"), coding=coding, force=True
        )
        kept = read_events(tmp_path / "a.events")
        assert kept.scheme == "article"
        assert np.array_equal(kept.events["time"], events["time"])
        told[kept.codings[Kind.CODE, 0]] = codec.decode(kept.events, 18_000)
    assert list(told) == ["float", "code-4"]
    whole = codec.decode(events, 18_000)
    assert np.array_equal(told["float"], whole)
    near, meant = (np.abs(stft(sound.astype(float))) for sound in (told["code-4"], whole))
    assert 0.0 < np.linalg.norm(near - meant) < 0.5 * np.linalg.norm(meant)


def test_louder_sound_has_the_same_events_louder(codec: ArticleCodec) -> None:
    sound = words(18_000)
    loud, quiet = codec.encode(sound, 16_000), codec.encode(sound / 64, 16_000)
    assert np.array_equal(loud["time"], quiet["time"])
    np.testing.assert_allclose(loud["gain"] - quiet["gain"], math.log(64.0), atol=1e-5)


@pytest.mark.parametrize("kind", ["silence", "short", "constant", "square", "noise", "click"])
def test_odd_sound_is_encoded(kind: str, codec: ArticleCodec) -> None:
    n = 9000
    sound = {
        "silence": np.zeros(n),
        "short": np.full(1, 0.5),
        "constant": np.ones(n),
        "square": np.sign(np.sin(0.05 * np.arange(n))),
        "noise": np.random.default_rng(1).uniform(-1, 1, n),
        "click": np.eye(1, n, 4000)[0],
    }[kind].astype(np.float32)
    events = check_events(codec.encode(sound, 16_000))
    assert (events["kind"] == Kind.CODE).all()
    assert np.isfinite(codec.decode(events, n)).all()
    assert kind != "silence" or len(events) == 0
    assert codec.encode(sound[:0], 16_000).size == 0


def test_what_cannot_be_encoded_or_decoded_is_one_line(codec: ArticleCodec) -> None:
    with pytest.raises(RateError, match="16000 Hz"):
        codec.encode(words(3000), 44_100)
    with pytest.raises(InputError, match="no numbers"):
        codec.encode(np.full(100, np.nan, np.float32), 16_000)
    with pytest.raises(InputError, match="one channel"):
        codec.encode(np.zeros((100, 2), np.float32), 16_000)
    events = codec.encode(words(9000), 16_000)
    for field, value in (("kind", Kind.RETARGET), ("time", 3)):
        wrong = events.copy()
        wrong[field][0] = value
        with pytest.raises(InputError, match="not encoded by the article's scheme"):
            codec.decode(wrong)


def test_every_residual_is_shown(codec: ArticleCodec) -> None:
    seen: list[tuple[int, NDArray]] = []
    stream = HalfWindows(codec.scheme, codec.networks, watch=lambda f, r: seen.append((f, r)))
    stream.push(words(12_000))
    stream.finish()
    assert len(seen) == sum(len(e) - 1 for e in stream.energies)
    energies = [e for window in stream.energies for e in window[1:]]
    np.testing.assert_allclose([np.sum(r.astype(float) ** 2) for _, r in seen], energies, rtol=1e-4)


# ---- the files ----


def test_the_graphs_say_what_the_modules_say(model: Article, written: Written) -> None:
    assert written.error <= 1e-4
    exported, meant = ArticleCodec.load(written.encoder).networks, Networks(model)
    rng = np.random.default_rng(77)
    for _ in range(4):
        residual = rng.standard_normal((1024, TINY.frames), np.float32)
        free = np.ones(TINY.frames, np.float32)
        noise = 2.0 * rng.random(TINY.burst, np.float32) - 1.0
        a, b = exported.pick(residual, free), meant.pick(residual, free)
        assert a[0] == b[0]
        np.testing.assert_allclose(a[2], b[2], atol=1e-4 * np.abs(b[2]).max())
        (wave, shift), (wave_meant, shift_meant) = exported.generate(b[2], noise), meant.generate(b[2], noise)
        np.testing.assert_allclose(wave, wave_meant, atol=1e-4 * np.abs(wave_meant).max())
        assert shift == pytest.approx(shift_meant, abs=1e-3)


def test_the_exported_codec_encodes_and_decodes_as_the_model_does(
    codec: ArticleCodec, written: Written
) -> None:
    exported, sound = ArticleCodec.load(str(written.encoder)), words(18_000)
    events, meant = exported.encode(sound, 16_000), codec.encode(sound, 16_000)
    assert np.array_equal(events["time"], meant["time"])
    np.testing.assert_allclose(events["vector"], meant["vector"], atol=1e-4 * np.abs(meant["vector"]).max())
    said, wanted = exported.decode(meant), codec.decode(meant)
    np.testing.assert_allclose(said, wanted, atol=1e-4 * np.abs(wanted).max())


def test_the_published_model_exports_too(tmp_path: Path) -> None:
    torch.manual_seed(2)
    size = Size(**{**{f: getattr(PUBLISHED, f) for f in PUBLISHED.__dataclass_fields__}, "rooms": 2})
    found = export(Article(size), tmp_path / "published.onnx", runs=2)
    assert found.error <= 1e-4
    assert not read_scheme(found.encoder).mended


def test_a_graph_that_says_something_else_is_not_written(
    model: Article, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = article_export.write

    def wrong(model: Article, encoder: Path, generator: Path) -> None:
        model = rounded(model)
        model.generator.tables["filters"].data[0, 0] += 0.05
        right(model, encoder, generator)

    monkeypatch.setattr(article_export, "write", wrong)
    with pytest.raises(ThresholdError, match="not written"):
        export(model, tmp_path / "wrong.onnx", runs=3)
    assert list(tmp_path.iterdir()) == []


def test_files_that_do_not_belong_together_are_one_line(written: Written, tmp_path: Path) -> None:
    import onnx

    assert read_scheme(written.encoder) == written.scheme
    assert written.scheme.card == "a test"
    encoder, generator = tmp_path / "x.onnx", tmp_path / f"x{GENERATOR}"

    def refused(match: str) -> None:
        with pytest.raises(InputError, match=match) as caught:
            ArticleCodec.load(encoder)
        assert "\n" not in str(caught.value)

    refused("cannot read")
    shutil.copy(written.encoder, encoder)
    refused("cannot read")
    shutil.copy(written.encoder, generator)
    refused("not the generator")
    graph = onnx.load(str(written.encoder))
    stated = graph.metadata_props[0].value
    assert graph.metadata_props[0].key == METADATA
    for text, why in (
        (stated.replace('"window":16384', '"window":32768'), "does not fit"),
        (stated.replace('"hop":256', '"hop":0'), "hop"),
        (stated[:-4], "description"),
    ):
        onnx.helper.set_model_props(graph, {METADATA: text})
        onnx.save(graph, str(encoder))
        refused(why)
    onnx.helper.set_model_props(graph, {})
    onnx.save(graph, str(encoder))
    refused("no encoder")
    encoder.write_bytes(b"no model")
    refused("not an ONNX model")


# ---- real recordings ----


@pytest.mark.skipif(not shared_files("speech_ljspeech", "*.wav"), reason="the shared data has no speech here")
def test_the_energy_falls_on_real_speech(codec: ArticleCodec) -> None:
    from rtsynth.io.hearing import read_heard

    for path in shared_files("speech_ljspeech", "*.wav")[::5][:2]:
        sound = read_heard(path, 16_000)[:32_000]
        stream = codec.stream(level=float(np.abs(sound).max()))
        events = np.concatenate([stream.push(sound), stream.finish()])
        assert len(events) > 20
        assert all(b < a for e in stream.energies for a, b in pairwise(e))


def test_the_scheme_is_the_size(model: Article) -> None:
    stated = scheme(TINY, "0")
    assert isinstance(stated, Scheme)
    assert (stated.frames, stated.half, stated.control_steps) == (64, 32, pytest.approx(4.0))
