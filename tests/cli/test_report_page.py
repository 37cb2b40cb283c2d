"""The page of `rtsynth report` in a real browser without a network: pointer, keys, what a screen reader is told."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

from rtsynth.cli.report_data import Coded, Stream
from rtsynth.cli.report_events import added, parts
from rtsynth.cli.report_movie import Movie, movie
from rtsynth.cli.report_page import make_page
from rtsynth.codec.event import CONTROL, EVENT, Events, Kind, in_order
from rtsynth.codec.storage import EventFile, pack, unpack
from tests.cli.browser import Browser, Page, browsing
from tests.cli.sketch import RATE, notes, render, speech

SECONDS = 1.2
BUTTON = 24  # pixels from the left of a player to its button
NAME = "a<b>&</script>.wav"  # what a file may be called
# Every piece of sound that is started: where it begins, how loud it is, and whether it has come to its end.
LISTEN = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when = 0, offset = 0, length = this.buffer.duration) {
  const rate = this.buffer.sampleRate, samples = this.buffer.getChannelData(0);
  const piece = samples.subarray(offset * rate, (offset + length) * rate);
  const power = piece.reduce((sum, v) => sum + v * v, 0) / piece.length;
  const entry = { offset, length, level: Math.sqrt(power), ended: false };
  this.addEventListener("ended", () => { entry.ended = true; });
  window.played.push(entry);
  return start.call(this, when, offset, length);
};
const meters = new Map(), connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (to instanceof AudioDestinationNode) {
    if (!meters.has(to)) meters.set(to, new AnalyserNode(to.context, { fftSize: 4096 }));
    connect.call(this, meters.get(to));
  }
  return connect.call(this, to, ...more);
};
window.loudest = 0; // RMS of any 0.1 s that went out
setInterval(() => {
  for (const meter of meters.values()) {
    const samples = new Float32Array(4096);
    meter.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, Math.sqrt(samples.reduce((sum, v) => sum + v * v, 0) / 4096));
  }
}, 20);
"""


def coded(events: Events, seconds: float = SECONDS, rate: float = RATE, **more: Any) -> Coded:
    count = round(seconds * rate)
    file = unpack(pack(EventFile(events, round(rate), count), "float"))
    noise = 0.01 * np.random.default_rng(0).standard_normal(count)
    return Coded(NAME, render(events, seconds)[:count] + noise, rate, file, render, "Made by hand.", **more)


@pytest.fixture(scope="module")
def events() -> Events:
    return in_order(np.concatenate([speech(SECONDS), notes(SECONDS, 3)]))


@pytest.fixture(scope="module")
def film(events: Events) -> Movie:
    one = coded(events)
    return movie(one.original, parts(events, render, one.grid, one.original.size), RATE)


@pytest.fixture(scope="module")
def made(events: Events, tmp_path_factory: pytest.TempPathFactory) -> Path:
    live = Stream(events, render(events, SECONDS), 0.028, "The live encoder's, of a test.")
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(make_page(coded(events, live=live, notes=("A note of the test.",))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(browser: Browser, made: Path) -> Iterator[Page]:
    """The page, ready; in the end it must have asked for nothing and complained of nothing."""
    opened = Page(browser, before=LISTEN)
    opened.open(made)
    opened.until("byId('movie-said').textContent && byId('vector-cells').height === 32")
    yield opened
    assert opened.complaints() == []
    assert opened.requests() == []
    opened.close()


def started(page: Page, count: int = 1) -> list[dict[str, Any]]:
    """The pieces of sound since the page was opened, once there are so many."""
    page.until(f"played.length >= {count}")
    return page.value("played")


def dot(index: int) -> str:
    return f"#map [data-event='{index}']"


def chosen(page: Page) -> int:
    return int(page.value("document.querySelector('#map [aria-selected=true]').dataset.event"))


def focused(page: Page) -> str:
    return page.value("document.activeElement.id || document.activeElement.dataset.event || ''")


# ---- the guards see what they are for ----


def test_a_request_and_an_error_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text("<img src='https://example.org/x.png'><script>nowhere();</script>")
    page = Page(browser)
    page.open(path)
    assert page.requests() == ["https://example.org/x.png"]
    assert any("nowhere is not defined" in text for text in page.complaints())
    page.close()


@pytest.mark.parametrize(
    "planted",
    [
        "<img src='https://example.org/x.png'>",
        "<script src='https://example.org/x.js'></script>",
        "<link rel=stylesheet href='https://example.org/x.css'>",
        "<script>fetch('https://example.org/x').catch(() => 0)</script>",
    ],
    ids=["image", "script", "style", "fetch"],
)
def test_the_page_itself_forbids_every_address(
    browser: Browser, made: Path, tmp_path: Path, planted: str
) -> None:
    path = tmp_path / "planted.html"
    path.write_text(
        made.read_text(encoding="utf-8").replace("</body>", f"{planted}</body>"), encoding="utf-8"
    )
    page = Page(browser)
    page.open(path)
    assert any("Content Security Policy" in text for text in page.complaints())
    page.close()


# ---- players ----


@pytest.mark.parametrize("player", ["original", "decoded", "vectors", "times", "live"])
def test_a_player_plays_by_a_click_on_its_button(page: Page, player: str) -> None:
    page.until(f"byId('{player}').readyState >= 3")
    assert page.value(f"byId('{player}').duration") == pytest.approx(SECONDS, abs=1e-3)
    page.click(f"#{player}", left=BUTTON)
    page.until(f"byId('{player}').currentTime > 0.1")
    if player in ("original", "decoded", "live"):
        assert page.value("document.querySelector('#map .head').style.visibility") == "visible"


def test_only_one_thing_sounds_at_a_time(page: Page) -> None:
    page.click("#original", left=BUTTON)
    page.until("byId('original').currentTime > 0")
    page.click("#decoded", left=BUTTON)
    page.until("byId('decoded').currentTime > 0")
    assert page.value("byId('original').paused")
    page.click(dot(3))
    started(page)
    page.until("byId('decoded').paused")
    page.until("played[0].ended")


# ---- the decomposition ----

PICTURE = "byId('movie').toDataURL()"


def test_the_decomposition_plays_pauses_and_goes_on_to_its_end(page: Page) -> None:
    first = page.value(PICTURE)
    page.click("#movie-play")
    page.until("Number(byId('movie-step').value) >= 3")
    assert page.value("byId('movie-play').getAttribute('aria-pressed')") == "true"
    page.click("#movie-play")
    assert page.value("byId('movie-play').textContent") == "Play"
    assert page.value(PICTURE) != first
    at = page.value("byId('movie-step').value")
    assert page.value("new Promise(r => setTimeout(() => r(byId('movie-step').value), 400))") == at


# The colours (rows, columns, 3) of a picture, row 0 the lowest frequency.
COLOURS = """(() => {
  const canvas = byId(%s), { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const pixels = copy.getImageData(0, 0, width, height).data;
  return Array.from({ length: height }, (_, row) => Array.from({ length: width }, (_, column) => {
    const at = 4 * ((height - 1 - row) * width + column);
    return [...pixels.slice(at, at + 3)];
  }));
})()"""


def test_the_pictures_are_those_of_the_decomposition(page: Page, film: Movie) -> None:
    def shown(canvas: str) -> np.ndarray:
        return np.array(page.value(COLOURS % json.dumps(canvas)))

    def shades(cells: np.ndarray) -> np.ndarray:
        return np.array(page.value("SHADES"))[cells]

    assert (shown("original-levels") == shades(film.frames[0])).all()
    assert (shown("decoded-levels") == shades(film.decoded)).all()
    page.click("#movie-step", across=0.5)
    for step in (0, 1, len(film.frames) - 1):
        page.press("Home")
        page.press(*(("ArrowRight", step) if step < 2 else ("End",)))
        assert (shown("movie") == shades(film.frames[step])).all()


def test_the_decomposition_is_stepped_by_keys_and_says_where_it_is(page: Page, events: Events) -> None:
    page.click("#movie-step", across=0.5)
    page.press("Home")
    assert page.value("byId('movie-said').textContent") == f"0 of {events.size} events: 0.0 dB left"
    page.press("ArrowRight", 2)
    assert page.value("byId('movie-said').textContent").startswith(f"2 of {events.size} events: -")
    page.press("End")
    said = page.value("byId('movie-step').getAttribute('aria-valuetext')")
    assert f"{events.size} of {events.size} events" in said
    left = float(said.split()[-3])
    assert left < -10.0  # only the noise is left
    assert page.value("byId('original-levels').toDataURL()") != page.value(
        "byId('decoded-levels').toDataURL()"
    )


# ---- the map ----


def test_a_click_on_a_dot_plays_that_event(page: Page, events: Events) -> None:
    sprite = page.value("({ starts: data.sprite.starts, lengths: data.sprite.lengths })")
    index = 9
    page.click(dot(index))
    (piece,) = started(page)
    assert piece["offset"] == pytest.approx(sprite["starts"][index])
    assert piece["length"] == pytest.approx(sprite["lengths"][index])
    level = page.value(f"data.events.level[{index}]")
    assert 20 * np.log10(piece["level"]) == pytest.approx(level, abs=0.3)  # as loud as is said
    page.until(f"loudest > {0.5 * piece['level']}")  # and it goes out
    assert chosen(page) == index
    assert focused(page) == str(index)
    said = page.value("byId('said').textContent")
    assert said.startswith(f"event {index + 1} of {events.size}: {events['time'][index] * CONTROL:.3f} s")
    page.until("played[0].ended")


def test_a_click_beside_the_dots_plays_nothing(page: Page) -> None:
    page.click("#map", across=0.01, down=0.02)
    page.click(dot(2))
    assert len(started(page)) == 1


def test_every_event_is_reached_and_played_by_keys_alone(page: Page, events: Events) -> None:
    page.value("byId('even').focus()")
    page.press("Tab")
    assert focused(page) == "0"
    page.press("ArrowRight", 3)
    assert (chosen(page), focused(page)) == (3, "3")
    page.press("ArrowLeft")
    assert chosen(page) == 2
    page.press("End")
    assert chosen(page) == events.size - 1
    page.press("PageUp")
    assert chosen(page) == events.size - 11
    page.press("Home")
    page.press("ArrowLeft")
    assert chosen(page) == 0
    assert page.value("played.length") == 0  # moving is silent
    page.press("Enter")
    started(page)
    page.press(" ")
    pieces = started(page, 2)
    assert [piece["offset"] for piece in pieces] == [0, 0]


def test_up_and_down_go_through_the_events_in_the_order_of_likeness(page: Page, events: Events) -> None:
    page.click(dot(0))
    places = page.value("data.places")
    page.press("ArrowUp", events.size)
    assert places[chosen(page)] == 1.0
    seen = [chosen(page)]
    for _ in range(events.size - 1):
        page.press("ArrowDown")
        seen.append(chosen(page))
    assert sorted(seen) == list(range(events.size))
    assert all(places[a] >= places[b] for a, b in itertools.pairwise(seen))


def test_an_event_can_be_heard_in_its_place_and_quiet_ones_brought_up(page: Page, events: Events) -> None:
    quiet = page.value("data.events.level.indexOf(Math.min(...data.events.level))")
    page.click("#even")
    page.click(dot(quiet))
    assert started(page)[0]["level"] < 0.03
    page.until("loudest > 0.07")
    page.value("byId('manner').focus()")
    page.press("ArrowDown")
    assert page.value("byId('manner').value") == "place"
    page.click(dot(7))
    piece = started(page, 2)[1]
    assert piece["offset"] == pytest.approx(float(events["time"][7] * CONTROL), abs=1e-4)
    assert piece["level"] > 0.001


def test_colours_are_chosen_by_keys(page: Page, events: Events) -> None:
    fills = "dots.map((dot) => dot.getAttribute('fill'))"
    page.value("byId('colour').focus()")
    seen = [page.value(fills)]
    for _ in range(4):
        page.press("ArrowDown")
        seen.append(page.value(fills))
    assert page.value("byId('colour').value") == "noise"
    assert len({json.dumps(fill) for fill in seen}) == 5
    assert len(set(seen[1])) == len(np.unique(events["kind"]))


def test_a_click_on_a_column_of_the_vectors_plays_its_event(page: Page, events: Events) -> None:
    assert page.value("[byId('vector-cells').width, byId('vector-cells').height]") == [events.size, 32]
    page.click("#vector-cells", across=(20 + 0.5) / events.size)
    assert started(page)[0]["offset"] == pytest.approx(page.value("data.sprite.starts[20]"))
    assert chosen(page) == 20


def test_the_table_has_every_event_and_plays_it(page: Page, events: Events) -> None:
    page.click("summary")
    assert page.value("document.querySelectorAll('tbody tr').length") == events.size
    page.click("button[data-event='6']")
    assert started(page)[0]["offset"] == pytest.approx(page.value("data.sprite.starts[6]"))
    assert page.value("document.querySelector('tr[data-chosen] td').textContent.trim()") == "7"


# ---- timeline and stream ----


def test_the_timeline_plays_from_where_it_is_clicked(page: Page) -> None:
    assert page.value("document.querySelectorAll('#timeline .course').length") >= 3
    page.click("#timeline", across=0.5)
    piece = started(page)[0]
    assert 0.4 * SECONDS < piece["offset"] < 0.6 * SECONDS
    page.until("byId('timeline').querySelector('.head').style.visibility === 'visible'")
    page.click("#stop")
    page.until("played[0].ended")
    page.click(dot(5))
    started(page, 2)
    page.click("#from-chosen")
    assert started(page, 3)[2]["offset"] == pytest.approx(page.value("data.events.time[5]"))


def test_the_stream_brings_its_events_as_they_come(page: Page, events: Events) -> None:
    blank = page.value("byId('stream').toDataURL()")
    page.click("#stream-play")
    page.until("/: [1-9]/.test(byId('stream-said').textContent)")
    early = int(page.value("byId('stream-said').textContent").split(": ")[1].split()[0])
    assert early < events.size
    assert page.value("byId('stream-play').getAttribute('aria-pressed')") == "true"
    page.until("byId('stream-play').getAttribute('aria-pressed') === 'false'")
    assert page.value("byId('stream-said').textContent").endswith(f"{events.size} events have come out")
    assert page.value("byId('stream').toDataURL()") != blank
    assert page.value("data.stream.latency") == 0.028
    assert page.value("played.length") == 1


def test_the_stream_is_heard_beside_the_original_and_stops_when_told(page: Page) -> None:
    page.value("byId('stream-hear').focus()")
    page.press("ArrowDown")
    page.click("#stream-play")
    assert len(started(page, 2)) == 2
    page.until("byId('stream-play').getAttribute('aria-pressed') === 'true'")
    page.click("#stream-play")
    page.until("played.every((piece) => piece.ended)")


# ---- what a screen reader is told, and how it looks ----

CONTROLS = {"button", "checkbox", "combobox", "slider", "listbox", "option", "Audio"}


def test_everything_that_can_be_used_has_a_name(page: Page, events: Events) -> None:
    nodes = page.accessible()
    controls = [node for node in nodes if node["role"] in CONTROLS]
    assert all(node["name"] for node in controls)
    options = [
        node["name"] for node in nodes if node["role"] == "option" and node["name"].startswith("event")
    ]
    assert len(options) == events.size
    assert len(set(options)) == events.size
    names = {node["name"] for node in nodes}
    assert {"Events over time", "Play", "Step", "Colour", "Plays", "Hear", "Start the stream"} <= names
    assert {"Spectrogram of the original", "Spectrogram of what is left"} <= names
    headings = [node for node in nodes if node["role"] == "heading"]
    assert headings[0]["name"] == f"{NAME} as events"
    assert len(headings) == 9


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390, 320])
def test_it_fits_and_can_be_read(browser: Browser, made: Path, width: int, dark: bool) -> None:
    page = Page(browser, width=width, dark=dark)
    page.open(made)
    page.until("byId('movie-said').textContent")
    assert page.value("document.documentElement.scrollWidth") <= width
    for selector in ("body", ".lead", "dt", "figcaption", "button", ".said", "td button"):
        assert page.value(CONTRAST % json.dumps(selector)) >= 4.5, (selector, width, dark)
    assert page.value(LOWEST) >= 40  # pixels: a finger
    page.close()


# The lowest of the buttons and choices outside the table.
LOWEST = """Math.min(...[...document.querySelectorAll("main > section button, select")]
  .filter((element) => element.offsetHeight && !element.closest("td")).map((element) => element.offsetHeight))"""
# Contrast of a text with what is behind it, as WCAG 2 defines it.
CONTRAST = """(() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let element = document.querySelector(%s);
  const ink = parts(getComputedStyle(element).color);
  let back = parts(getComputedStyle(element).backgroundColor);
  while (back.length > 3 && back[3] === 0) {
    element = element.parentElement;
    back = parts(getComputedStyle(element).backgroundColor);
  }
  const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
})()"""


# ---- other pages ----


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_page_of_few_events_works(browser: Browser, tmp_path: Path, count: int) -> None:
    path = tmp_path / "few.html"
    path.write_text(make_page(coded(speech(SECONDS)[:count])), encoding="utf-8")
    page = Page(browser, before=LISTEN)
    page.open(path)
    page.until("byId('movie-said').textContent")
    if count:
        page.click(dot(count - 1))
        started(page)
    page.click("#stream-play")
    page.until("byId('stream-play').getAttribute('aria-pressed') === 'true'")
    assert page.complaints() == []
    assert "file encoder" in page.value("document.body.textContent")
    page.close()


def test_ten_seconds_of_noise_make_a_page_below_8_megabytes() -> None:
    """Noise is what FLAC cannot make smaller."""
    rng = np.random.default_rng(1)
    rate, seconds = 22050.0, 10.0

    def noise(events: np.ndarray, length: float) -> np.ndarray:
        return rng.uniform(-0.9, 0.9, round(length * rate))

    events = speech(seconds, 15.0)  # a sprite as long as they get
    file = unpack(pack(EventFile(events, round(rate), round(seconds * rate)), "float"))
    page = make_page(Coded("noise", noise(events, seconds), rate, file, noise, "Made by hand."))
    assert 2e6 < len(page.encode()) < 8e6


def test_learned_codes_on_a_grid_of_their_own_make_a_page_too() -> None:
    """Of the article's scheme: steps of 256 samples at 22.05 kHz, and a decoder that only it has."""
    rate, step = 22050.0, Fraction(256, 22050)
    events = np.zeros(6, EVENT)
    events["time"], events["kind"], events["gain"] = 17 * np.arange(6), Kind.CODE, -2.0
    events["vector"] = np.random.default_rng(1).standard_normal((6, 32))

    def generate(some: Events, seconds: float) -> np.ndarray:
        out = np.zeros(round(seconds * rate) + 64)
        for event in some:
            if (at := 256 * int(event["time"])) < out.size - 64:
                out[at : at + 64] += np.exp(event["gain"]) * event["vector"][:2].sum()
        return out[:-64]

    file = unpack(pack(EventFile(events, 22050, 26000, "article", step), "float"))
    one = Coded("code", generate(events, 26000 / rate), rate, file, generate, "Made by hand.")
    shares = parts(events, generate, one.grid, 26000)
    assert [part.start for part in shares] == (17 * 256 * np.arange(6)).tolist()
    assert added(shares, 26000) == pytest.approx(one.original)
    assert "-160 dB apart" in make_page(one)


def test_one_gain_for_all_that_is_compared() -> None:
    loud = coded(speech(SECONDS))
    page = make_page(Coded(loud.name, 3.0 * loud.original / np.abs(loud.original).max(), *_rest(loud)))
    assert page.count("(-9.5 dB: one would clip)") == 2


def _rest(one: Coded) -> tuple[Any, ...]:
    return one.rate, one.file, one.render, one.encoder


def test_the_players_hold_the_sounds_that_they_are_named_for() -> None:
    one = coded(speech(SECONDS))
    page = make_page(one)
    for name, sound in [("original", one.original), ("decoded", render(one.events, SECONDS))]:
        (address,) = re.findall(f'<audio id="{name}"[^>]*src="data:audio/flac;base64,([^"]*)"', page)
        heard, rate = soundfile.read(io.BytesIO(base64.b64decode(address)))
        assert rate == RATE
        assert heard == pytest.approx(sound, abs=2.0**-15)


def test_events_without_sound_make_a_page() -> None:
    empty = np.zeros(0, EVENT)
    assert "the decoder is silent" not in make_page(coded(empty))
    assert "both silent" in make_page(coded(empty))
