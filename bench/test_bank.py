"""How fast the bank is: nanoseconds per component and sample, and the share of this machine's FMA rate they are.

    python -m pytest bench/test_bank.py

The whole engine, as the audio thread runs it: envelopes, gains on the control grid, noise, mixing and limiter in blocks
of 64 frames, float32, one core. The FMA rate is that of a single-threaded sgemm in the same run, so the share can be
compared between machines; the peers' figures are from other people's builds on a like machine (bench/README.md).
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from rtsynth.engine import Engine
from rtsynth.instrument import Instrument, preset
from rtsynth.messages import Kind, message

BLOCK = 64  # frames
VOICES = 32
BLOCKS = 50  # a round
PEERS = "SuperCollider Klank 1.0, Faust 1.1"  # ns per component and sample, 24 modes a voice

FORMS = {
    "innovations": """
        form = "innovations"
        [[layers]]
        kind = "noise"
        bands = {rows}
        life = 1.0""",
    "independent": """
        [[layers]]
        kind = "partials"
        count = {rows}
        life = 1.0""",
    "ringing": """
        [[layers]]
        kind = "partials"
        count = {rows}
        t60 = 1000.0""",
}
# Multiplications and additions of the sample-rate part, counted as FMAs: what the form cannot do without.
FMAS = {"innovations": 4.0, "independent": 8.0, "ringing": 6.0}


def playing(form: str, rows: int) -> Engine:
    """An engine whose one instrument, of `rows` rows a voice, holds all its voices; it splits at every 64 frames."""
    text = f'schema = 1\nname = "bench"\ntitle = "{form}"\ngain_db = -40.0\n{FORMS[form].format(rows=rows)}\n'
    head, layers = text.split("[[layers]]")
    text = f"{head}\n[polyphony]\nvoices = {VOICES}\nper_key = 1\n[[layers]]{layers}"
    engine = Engine([Instrument(preset.parse(text.encode(), "bench"))], 48000.0, max_block=BLOCK)
    engine.send(np.concatenate([message(Kind.NOTE_ON, number=30 + i, value=0.8) for i in range(VOICES)]))
    engine.process(np.empty((BLOCK, 2), np.float32))
    assert engine.active_voices == VOICES
    return engine


SGEMM = """
import time
import numpy as np
a, b = (np.random.default_rng(i).standard_normal((768, 768)).astype(np.float32) for i in (0, 1))
best = float("inf")
for _ in range(12):
    start = time.perf_counter()
    a @ b
    best = min(best, time.perf_counter() - start)
print(768**3 / best)
"""


@pytest.fixture(scope="module")
def fma_rate() -> float:
    """Float32 fused multiply-adds a second of one thread: the best of several sgemm calls, in a process of its own."""
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    command = [sys.executable, "-c", SGEMM]
    return float(subprocess.run(command, env=os.environ | one_thread, capture_output=True, check=True).stdout)


@pytest.mark.parametrize("rows", [24, 64])
@pytest.mark.parametrize("form", list(FORMS))
def test_component_sample(benchmark, fma_rate: float, form: str, rows: int) -> None:
    with playing(form, rows) as engine:
        benchmark.group = "a component and a sample"
        out = np.empty((BLOCK * BLOCKS, 2), np.float32)
        benchmark.pedantic(engine.process, args=(out,), rounds=30, warmup_rounds=3)
        assert engine.active_voices == VOICES  # all that time
    count = VOICES * rows * BLOCK * BLOCKS
    best, median = (1e9 * benchmark.stats.stats.__getattribute__(name) / count for name in ("min", "median"))
    share = FMAS[form] / (best * 1e-9) / fma_rate
    benchmark.extra_info |= {
        "ns": round(best, 3),
        "ns_median": round(median, 3),
        "fma_share": round(share, 3),
        "gfma_per_second": round(fma_rate / 1e9, 1),
    }
    print(
        f"\n{form}, D = {rows}: {best:.3f} ns per component and sample (median {median:.3f}), "
        f"{share:.0%} of {fma_rate / 1e9:.0f} GFMA/s; peers at 24: {PEERS}"
    )
