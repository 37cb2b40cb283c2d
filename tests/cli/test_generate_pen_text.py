"""`rtsynth generate pen` and `generate text`, `rtsynth train pen` and `train text`, as they are typed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.sequence.strokes import read_strokes
from tests.cli.command import Inside
from tests.data import shared


def test_a_text_becomes_a_picture_strokes_and_json(inside: Inside, tmp_path: Path) -> None:
    for ending, start in ((".svg", b"<svg"), (".png", b"\x89PNG")):
        out = tmp_path / f"a{ending}"
        done = inside("generate", "pen", "Hi", "--bias", 1, "-o", out)
        assert (done.code, done.out.strip()) == (0, str(out))
        assert out.read_bytes().startswith(start)
    out = tmp_path / "a.json"
    done = inside("generate", "pen", "Hi", "-o", out, "--json")
    told = json.loads(done.out)
    assert (told["text"], told["whole"]) == ("Hi", True)
    assert told["points"] == len(read_strokes(out).offsets)
    done = inside(
        "generate", "pen", "ho", "--style", out, "-o", tmp_path / "b.svg"
    )  # its own strokes prime it
    assert done.code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["", "-o", "a.svg"], 5, "nothing to write"),
        (["日本", "-o", "a.svg"], 5, "'日', '本'"),
        (["a", "-o", "a.gif"], 2, ".svg, a .png or a .json"),
        (["a", "-o", "a.svg", "--bias", "nan"], 2, "bias"),
        (["a", "-o", "a.svg", "--columns", "0"], 2, "--columns"),
        (["a", "-o", "a.svg", "--style", "cursive"], 5, "no style 'cursive'"),
        (["a", "-o", "a.svg", "--model", "nothing.onnx"], 5, "no model file"),
        (["a", "-o", "a.svg", "--model", "text"], 5, "a network for text"),
        (["-o", "a.svg"], 2, "--points"),
        (["--points", "9", "-o", "a.svg"], 2, "say which"),
        (["x" * 100_000, "-o", "a.png"], 2, "-o a.svg"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    inside: Inside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = inside("generate", "pen", *arguments)
    assert (done.code, said in done.complaint) == (code, True), done.err
    assert not list(tmp_path.glob("a.*"))


def test_nothing_is_overwritten_unasked(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("mine")
    done = inside("generate", "pen", "a", "-o", tmp_path / "a.svg")
    assert (done.code, "-f" in done.complaint) == (2, True)
    assert (tmp_path / "a.svg").read_text() == "mine"


def test_text_goes_on_from_what_is_given(inside: Inside) -> None:
    done = inside("generate", "text", "--prime", "ROMEO:", "--length", 40)
    assert done.code == 0
    assert done.out.startswith("ROMEO:")
    assert len(done.out) == len("ROMEO:") + 40 + 1
    told = json.loads(inside("generate", "text", "--prime", "ROMEO:", "--length", 40, "--json").out)
    assert "ROMEO:" + told["text"] == done.out[:-1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--prime", "ж"], 5, "never saw 'ж'"),
        (["--temperature", "nan"], 2, "temperature"),
        (["--length", "-1"], 2, "length"),
        (["--model", "pen"], 5, "a network for pen"),
        (["--model", "txet"], 5, "Did you mean 'text'"),
    ],
)
def test_what_makes_no_text_is_one_line(inside: Inside, arguments: list[str], code: int, said: str) -> None:
    done = inside("generate", "text", *arguments)
    assert (done.code, said in done.complaint) == (code, True), done.err


def test_both_are_trained_and_used(inside: Inside, tmp_path: Path) -> None:
    """A few updates each: files, scores, --resume, and what they then make."""
    pytest.importorskip("torch", reason="training needs torch: docs/export.md")
    data, out = tmp_path / "a.txt", tmp_path / "t.onnx"
    data.write_text("abc " * 700)
    learn = ["train", "text", "--data", data, "-o", out, "--updates", 2, "--hidden", 8, "--json", "-q"]
    told = json.loads(inside(*learn).out)
    assert told["updates"] == 2
    assert 0 < told["bits_per_character"]["static"] < 4
    assert inside(*learn).code == 2  # it is there
    told = json.loads(inside(*learn, "--resume", "--dynamic").out)
    assert set(told["bits_per_character"]) == {"static", "dynamic"}
    assert len(inside("generate", "text", "--model", out, "--prime", "ab", "--length", 5).out) == 8
    fonts = shared("strokes/hershey")
    out = tmp_path / "p.onnx"
    told = json.loads(inside("train", "pen", "--fonts", fonts, "-o", out, "--updates", 1, "--json", "-q").out)
    assert told["held_out"]["nats_a_point"] > 0
    drawn = inside("generate", "pen", "a", "--style", "print", "--model", out, "-o", tmp_path / "p.svg")
    assert drawn.code == 0


def test_a_pen_learns_from_drawings_without_text(inside: Inside, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch: docs/export.md")
    archive, out = tmp_path / "strokes.zip", tmp_path / "o.onnx"
    with zipfile.ZipFile(archive, "w") as files:
        for person in (1, 20):
            drawing = "START\n10,-20,0\n40,-20,9\n40,-50,15\nBREAK\n"
            files.writestr(f"small/Greek/character01/0001_{person:02}.txt", drawing)
    done = inside("train", "pen", "--drawings", archive, "-o", out, "--updates", 1, "--json", "-q")
    assert json.loads(done.out)["held_out"]["window"] is None
    picture = tmp_path / "o.svg"
    assert inside("generate", "pen", "--points", 20, "--model", out, "-o", picture).code == 0
    done = inside("generate", "pen", "text", "--model", out, "-o", tmp_path / "x.svg")
    assert (done.code, "reads no text" in done.complaint) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pen", "-o", "a.onnx"], "--fonts FOLDER or from --drawings"),
        (["pen", "--fonts", ".", "-o", "a.onnx"], "is no Hershey font"),
        (["pen", "--fonts", ".", "-o", "a.txt"], ".onnx file"),
        (["text", "--data", "none.txt", "-o", "a.onnx"], "cannot read"),
        (["text", "--data", "none.txt", "-o", "a.onnx", "--updates", "0"], "--updates"),
    ],
)
def test_a_training_that_cannot_begin_is_one_line(
    inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    pytest.importorskip("torch", reason="training needs torch: docs/export.md")
    monkeypatch.chdir(tmp_path)
    done = inside("train", *arguments)
    assert done.code in (2, 5)
    assert said in done.complaint
    assert not list(tmp_path.glob("a.*"))
