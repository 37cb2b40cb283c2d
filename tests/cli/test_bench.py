"""`rtsynth bench`: one short real run; what it prints, compares and ends with, on rows that are made up."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rtsynth.cli import bench_document
from rtsynth.cli.bench_sources import DEFAULT, Ears, default_names, loads
from rtsynth.cli.bench_text import table
from rtsynth.engine import latency
from rtsynth.engine.latency import Load
from rtsynth.engine.timing import Row
from rtsynth.errors import DeviceError, InputError
from tests.cli.command import Inside
from tests.data import shared
from tests.engine.made_rows import row

Fake = Callable[..., None]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Has rows made up instead of measured; `interrupt_at`: Ctrl-C in that measurement, from 1."""

    def install(interrupt_at: int = 0, device_fails: bool = False, **options: Any) -> None:
        done = []

        def measure(load: Load, rate: float, block: int, *_: object) -> Row | None:
            done.append(load.source)
            if len(done) == interrupt_at:
                signal.raise_signal(signal.SIGINT)
                return None
            if load.device == "cuda" and device_fails:
                raise DeviceError("no CUDA provider: pip install 'rtsynth[cuda]'")
            return row(block, source=load.source, device=load.device, **options)

        monkeypatch.setattr(latency, "measure", measure)

    return install


def test_a_short_real_run_is_a_document_and_a_page(inside: Inside, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="no plotly: pip install 'rtsynth[report]'")
    page, kept = tmp_path / "latency.html", tmp_path / "old.json"
    asked = ("bench", "thru", "--block", "64,256", "--seconds", "0.3", "--device", "cpu,cuda", "-q")
    done = inside(*asked, "--json", "--report", page)
    assert done.code == 0
    (text,) = done.out.splitlines()
    document = json.loads(text)
    assert [(r["source"], r["block"], r["device"]) for r in document["rows"]] == [
        ("thru", 64, "cpu"),
        ("thru", 256, "cpu"),
    ]
    for measured in document["rows"]:
        own, figures = measured["own"], measured["figures"]
        assert sum(count for _, count in own["wall"]["buckets"]) > 0
        assert measured["verdict"] in ("ok", "machine", "unclear", "late")
        wall = figures["wall"]
        assert wall["p50_us"] <= wall["p99_us"] <= wall["p99.9_us"] <= wall["max_us"]
        assert wall["p99_share"] == pytest.approx(1e3 * wall["p99_us"] / own["budget_ns"])
        assert figures["control_wall"]["max_us"] > 0
    assert {u["device"] for u in document["unmeasured"]} == {"cuda"}
    assert document["machine"]["cores"] >= 1
    assert len(document["recommendations"]) == 1
    html = page.read_text()
    assert "thru, cpu, 256 samples" in html
    assert "What to take" in html
    kept.write_text(text)
    again = bench_document.read(kept)
    assert bench_document.written(again)["rows"] == document["rows"]


def test_the_table_has_the_control_beside_every_row(inside: Inside, fake: Fake) -> None:
    fake(late=12, control_late=1)
    done = inside("bench", "piano", "--block", "64,512", "--seconds", "1", "-q")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[3] == "piano:16 (20 voices sound)"
    shown = [" ".join(line.split()) for line in lines[5:8]]
    assert shown[0] == "64 wall 133 (10 %) 133 (10 %) 133 (10 %) 133 (10 %) 12 host late"
    assert shown[1].startswith("CPU 133")
    assert shown[2] == "empty 13 (1.0 %) 13 (1.0 %) 13 (1.0 %) 13 (1.0 %) 1 host"
    assert "piano:16 on cpu: no block measured is safe" in done.out


def test_a_models_frames_and_delay_are_shown(inside: Inside, fake: Fake) -> None:
    fake(turnaround_us=300)
    done = inside("bench", "thru", "--block", "64", "-q")
    assert "2 skipped" in done.out
    assert "adds at 64: framing 63 + model 10 + computing 64 = 137 samples (2.9 ms)" in done.out


def test_what_no_gpu_can_run_is_not_measured(inside: Inside, fake: Fake) -> None:
    fake(device_fails=True)
    both = inside("bench", "gp", "--block", "64,128", "--device", "cpu,cuda", "-q")
    assert both.code == 0
    assert "gp on cuda, 64, 128 samples: not measured (it runs on the processor alone)" in both.out
    alone = inside("bench", "gp", "--block", "64", "--device", "cuda", "-q")
    assert alone.code == 3
    assert "nothing could be measured" in alone.err


def test_ctrl_c_leaves_what_was_measured(inside: Inside, fake: Fake) -> None:
    fake(interrupt_at=3)
    done = inside("bench", "piano", "gp", "--block", "64,128", "-q")
    assert done.code == 130
    assert "piano:16" in done.out
    assert "\ngp\n" not in done.out
    assert "interrupted: 2 rows" in done.err
    fake(interrupt_at=1)
    done = inside("bench", "piano", "--block", "64", "--json", "-q", "--max-p99-share", "0.001")
    assert done.code == 130
    assert json.loads(done.out)["interrupted"] is True


def test_a_threshold_names_the_rows_and_ends_with_6(inside: Inside, fake: Fake) -> None:
    fake(shares=[0.4] * 2000)
    assert inside("bench", "piano", "--block", "64", "--max-p99-share", "0.5", "-q").code == 0
    done = inside("bench", "piano", "--block", "64", "--max-p99-share", "0.3", "-q")
    assert done.code == 6
    assert "piano:16, cpu, 64 samples: 0.4" in done.err


def test_an_older_result_is_compared_row_by_row(inside: Inside, fake: Fake, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    fake(shares=[0.1] * 2000)
    old.write_text(inside("bench", "piano", "--block", "64", "--json", "-q").out)
    fake(shares=[0.2] * 2000, late=30)
    done = inside("bench", "piano", "--block", "64,128", "--compare", old, "-q")
    assert done.code == 0
    (cpu,) = [line for line in done.out.splitlines() if "CPU p99" in line]
    assert cpu.split()[-6:] == ["133.3", "266.7", "2.00", "2.00…2.00", "1.00…1.00", "WORSE"]
    assert "piano:16, cpu, 64 samples: late now, and was not" in done.out
    changes = json.loads(inside("bench", "piano", "--block", "64", "--json", "--compare", old, "-q").out)
    assert [change["worse"] for change in changes["changes"]] == [True, True, True]
    other = inside("bench", "gp", "--block", "64", "--compare", old, "-q")
    assert "Nothing to compare" in other.out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot read"),
        ("", "no result of"),
        ("[1]", "is no result of"),
        ('{"kind": "rtsynth bench", "schema": 2}', "has schema 2, and this version reads 1"),
        ('{"kind": "rtsynth bench", "schema": 1}', "missing required field"),
        ("buckets", "is no bucket of a histogram"),
        ("budget", "blocks without length"),
    ],
)
def test_an_older_result_that_is_none(
    inside: Inside, fake: Fake, tmp_path: Path, text: str | None, complaint: str
) -> None:
    fake()
    path = tmp_path / "old.json"
    if text in ("buckets", "budget"):
        good = json.loads(inside("bench", "thru", "--block", "64", "--json", "-q").out)
        if text == "buckets":
            good["rows"][0]["own"]["wall"]["buckets"][0][0] += 1
        else:
            good["rows"][0]["own"]["budget_ns"] = 0
        text = json.dumps(good)
    if text is not None:
        path.write_text(text)
    done = inside("bench", "thru", "--compare", path)
    assert done.code == 5
    assert complaint in done.complaint


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--block", "64,x"], 2, "numbers with commas"),
        (["--block", "0"], 4, "want 1 to 65536"),
        (["--device", "tpu"], 2, "want cpu, cuda"),
        (["--seconds", "0"], 2, "above 0"),
        (["--audio-in", "Microphone"], 2, "--audio-in file:Microphone"),
        (["piano:0"], 2, "want 1 to 4096 voices"),
        (["nothing"], 5, "no preset named"),
        (["nothing.onnx"], 5, "nothing.onnx"),
        (["piano", "piano:16"], 2, "two sources are called piano:16"),
        (["thru", "--rate", "0", "--block", "64"], 4, "cannot run at 0"),
    ],
)
def test_what_cannot_be_measured_is_said_first(
    inside: Inside, arguments: list[str], code: int, complaint: str
) -> None:
    done = inside("bench", *arguments, "-q")
    assert done.code == code
    assert complaint in done.complaint


def test_sources_are_named_as_they_are_typed() -> None:
    found = loads(["piano", "bell:3", "gp", "thru"], ["cpu", "cuda"], Ears(), None)
    assert [(load.source, load.device, load.voices) for load in found[:4]] == [
        ("piano:16", "cpu", 16),
        ("piano:16", "cuda", None),
        ("bell:3", "cpu", 3),
        ("bell:3", "cuda", None),
    ]
    assert [load.refusal is None for load in found if load.device == "cpu"] == [True] * 4
    assert [load.source for load in found[4:]] == ["gp", "gp", "thru", "thru"]
    assert default_names()[:3] == list(DEFAULT)
    assert [load.source for load in loads(["rnn"], ["cpu"], Ears(), None)] == ["waveform"]


def test_a_file_is_heard_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "heard.wav"
    soundfile.write(path, np.linspace(-0.5, 0.5, 4800), 48000, subtype="FLOAT")
    heard = Ears(str(path))(0.25, 48000.0)
    assert heard.shape == (12000,)
    assert (heard[4800:9600] == heard[:4800]).all()
    soundfile.write(path, np.zeros((0, 1)), 48000)
    with pytest.raises(InputError):
        Ears(str(path))(0.25, 48000.0)


def test_tables_align_figures_on_the_right() -> None:
    text = table([("block", "", "p50"), ("64", "wall", "9 (1 %)"), ("512", "wall", "123 (12 %)")])
    assert text.splitlines() == [
        "block               p50",
        "   64  wall     9 (1 %)",
        "  512  wall  123 (12 %)",
    ]


def test_a_model_is_measured_in_its_own_process() -> None:
    pytest.importorskip("onnxruntime", reason="no onnxruntime")
    network = shared("weights/gtcrn_stream/gtcrn.onnx")
    (load,) = loads([str(network)], ["cpu"], Ears(), "gtcrn")
    measured = latency.measure(load, 48000.0, 480, 0.3)
    assert measured is not None
    assert measured.source == "gtcrn"
    worker = measured.worker
    assert worker is not None
    assert worker.budget_ns == 16_000_000  # 256 samples at 16 kHz
    assert worker.frames == worker.wall.count == worker.turnaround.count > 0
    assert worker.latency["computing"] >= 1
    assert sum(worker.latency.values()) > worker.latency["model"] == 768
