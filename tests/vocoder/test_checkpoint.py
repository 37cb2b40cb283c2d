"""Checkpoints of every kind read as torch reads them; hostile and damaged ones refused in one line, nothing run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.vocoder.checkpoint import MAGIC, PROTOCOL, generator_weights, read_checkpoint
from rtsynth.vocoder.hifigan import PUBLISHED, V1, V2, V3, Config, read_config
from tests.data import shared

SMALL = msgspec.structs.replace(V3, upsample_initial_channel=8)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed")


def save(torch: Any, what: Any, path: Path, legacy: bool) -> Path:
    torch.save(what, path, _use_new_zipfile_serialization=not legacy)
    return path


def weights_of(torch: Any, config: Config, seed: int = 1) -> dict[str, Any]:
    """Folded weights."""
    torch.manual_seed(seed)
    return {name: torch.randn(shape) for name, shape in config.shapes().items()}


def normed(torch: Any, weights: dict[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    """The same, every weight as a direction of random length and a length."""
    found = OrderedDict()
    for name, array in weights.items():
        stem = name.removesuffix(".weight")
        if stem == name:
            found[name] = array
            continue
        norm = array.flatten(1).norm(dim=1).reshape(-1, *[1] * (array.dim() - 1))
        found[f"{stem}.{names[0]}"] = norm
        found[f"{stem}.{names[1]}"] = array * (torch.rand(norm.shape) + 0.5)
    return found


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
def test_all_that_torch_writes_is_read(torch: Any, tmp_path: Path, legacy: bool) -> None:
    base = torch.arange(60, dtype=torch.float32)
    what = {
        "kinds": [
            torch.arange(-3, 4).to(kind) for kind in (torch.float64, torch.float16, torch.int64, torch.uint8)
        ],
        "brain": torch.tensor([1.5, -2.25, 3e30]).bfloat16(),
        "flag": torch.tensor([True, False]),
        "view": base[7:31:3],
        "turned": base.reshape(6, 10).T,
        "same storage": base,
        "none": torch.zeros(0, 3),
        "number": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "plain": {
            "steps": 3,
            "lr": 2e-4,
            "betas": (0.8, 0.99),
            "on": True,
            "off": None,
            "text": "ä",
            4: -(2**40),
        },
        "state": torch.nn.Linear(2, 3).state_dict(),
    }
    found = read_checkpoint(save(torch, what, tmp_path / "x", legacy))
    assert found["plain"] == what["plain"]
    for name in ("view", "turned", "same storage", "none", "number", "flag"):
        np.testing.assert_array_equal(found[name], what[name].numpy())
    for array, tensor in zip(found["kinds"], what["kinds"], strict=True):
        assert array.dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(array, tensor.numpy())
    np.testing.assert_array_equal(found["brain"], what["brain"].float().numpy())
    np.testing.assert_array_equal(found["parameter"], [1.0, 1.0])
    np.testing.assert_array_equal(found["state"]["weight"], what["state"]["weight"].numpy())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        None,
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ],
)
def test_every_way_of_naming_weights_is_folded_to_the_same(
    torch: Any, tmp_path: Path, legacy: bool, names: tuple[str, str] | None
) -> None:
    weights = weights_of(torch, SMALL)
    state = normed(torch, weights, names) if names else weights
    for place, what in enumerate(
        ({"generator": state}, state, {"generator": {f"module.{k}": v for k, v in state.items()}})
    ):
        found = generator_weights(save(torch, what, tmp_path / f"{place}", legacy), SMALL)
        assert list(found) == list(SMALL.shapes())
        for name, array in found.items():
            np.testing.assert_allclose(array, weights[name].numpy(), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("legacy", [False, True])
def test_what_lay_on_a_gpu_is_read(torch: Any, tmp_path: Path, legacy: bool) -> None:
    """Only the name of the device differs, in the pickle: it is put there."""
    path = save(torch, {"x": torch.arange(5.0)}, tmp_path / "x", legacy)
    here, there = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    if legacy:
        data = path.read_bytes()
        assert here in data
        path.write_bytes(data.replace(here, there))
    else:
        rewrite(path, lambda name, data: data.replace(here, there))
        assert b"cuda:0" in path.read_bytes()
    np.testing.assert_array_equal(read_checkpoint(path)["x"], np.arange(5))


def test_a_view_of_a_storage_of_the_oldest_kind_is_read(tmp_path: Path) -> None:
    """Before 0.4 a storage could be a part of another: (key of the whole, start, count)."""
    row = np.arange(10, dtype="<f4")
    view = ("storage", Storage("FloatStorage"), "0", "cuda:1", 10, ("1", 4, 3))
    path = tmp_path / "x"
    path.write_bytes(legacy_file({"x": Tensor(view, 0, (3,), (1,))}, ["0"], [row.tobytes()], [10]))
    np.testing.assert_array_equal(read_checkpoint(path)["x"], [4, 5, 6])


def test_the_official_generator_is_read_as_torch_reads_it(torch: Any) -> None:
    folder = shared("weights/hifigan_v2")
    found = read_checkpoint(folder / "generator_v2")["generator"]
    wanted = torch.load(folder / "generator_v2", map_location="cpu", weights_only=True)["generator"]
    assert len(found) == len(wanted) == 234
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())
    config = read_config(folder / "config_v2.json")
    assert config == V2
    assert sum(array.size for array in generator_weights(folder / "generator_v2", config).values()) == 925_985


@pytest.mark.parametrize(
    ("config", "folded", "weight_normed", "latency"),
    [(V1, 13_926_017, 13_936_130, 3258), (V2, 925_985, 928_514, 3258), (V3, 1_462_273, 1_464_322, 2582)],
)
def test_the_published_sizes(config: Config, folded: int, weight_normed: int, latency: int) -> None:
    sizes = {name: int(np.prod(shape)) for name, shape in config.shapes().items()}
    assert sum(sizes.values()) == folded
    lengths = sum(shape[0] for name, shape in config.shapes().items() if name.endswith("weight"))
    assert folded + lengths == weight_normed
    assert config.latency == latency


# --- what is refused --------------------------------------------------------------------------------------------------


class Calls:
    """Pickles itself as a call of something."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple:
        return self.function, self.arguments


class Storage:
    def __init__(self, name: str) -> None:
        self.name = name


class Tensor(tuple):
    """(persistent id of a storage, offset, shape, strides)."""

    def __new__(cls, *parts: object) -> Tensor:
        return super().__new__(cls, parts)


def legacy_file(what: object, keys: list[str], rows: list[bytes], counts: list[int]) -> bytes:
    """The older container, made by hand: text of protocol 0 where pickle itself would import torch."""
    parts = [pickle.dumps(item, 2) for item in (MAGIC, PROTOCOL, {"little_endian": True})]
    parts += [program(what), pickle.dumps(keys, 2)]
    parts += [struct.pack("<q", count) + row for count, row in zip(counts, rows, strict=True)]
    return b"".join(parts)


def program(what: object) -> bytes:
    """A pickle that names torch without importing it."""

    def say(item: object) -> bytes:
        if isinstance(item, Storage):
            return b"ctorch\n" + item.name.encode() + b"\n"
        if isinstance(item, Tensor):
            storage, *rest = item
            return (
                b"ctorch._utils\n_rebuild_tensor_v2\n("
                + say(storage)
                + b"Q"
                + b"".join(map(say, rest))
                + b"\x89NtR"
            )
        if isinstance(item, tuple):
            return b"(" + b"".join(map(say, item)) + b"t"
        if isinstance(item, dict):
            return b"}(" + b"".join(say(key) + say(value) for key, value in item.items()) + b"u"
        return pickle.dumps(item, 2)[2:-1]

    return b"\x80\x02" + say(what) + b"."


def rewrite(path: Path, change: Callable[[str, bytes], bytes], **options: Any) -> None:
    """Every member of a zip file, changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))


def zip_of(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x/data.pkl", pickled)
    return buffer.getvalue()


HOSTILE = {
    "os.system": lambda mark: Calls(os.system, f"touch {mark}"),
    "eval": lambda mark: Calls(eval, f"open({str(mark)!r}, 'w')"),
    "exec": lambda mark: Calls(exec, f"open({str(mark)!r}, 'w')"),
    "open": lambda mark: Calls(open, str(mark), "w"),
    "getattr": lambda mark: Calls(getattr, Calls(__import__, "os"), "system"),
    "nested": lambda mark: [{"x": (1, Calls(os.system, f"touch {mark}"))}],
}


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("attack", HOSTILE)
def test_nothing_that_a_pickle_says_is_run(tmp_path: Path, attack: str, protocol: int) -> None:
    mark, path = tmp_path / "mark", tmp_path / "x"
    hostile = pickle.dumps({"generator": HOSTILE[attack](mark)}, protocol)
    others = [pickle.dumps(item, 2) for item in (MAGIC, PROTOCOL, {"little_endian": True})]
    for data in (zip_of(hostile), b"".join(others) + hostile + pickle.dumps([], 2), hostile):
        path.write_bytes(data)
        with pytest.raises(InputError) as refusal:
            read_checkpoint(path)
        assert "\n" not in str(refusal.value)
        assert not mark.exists()


def test_the_planted_attack_would_work(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(HOSTILE["os.system"](mark)))
    assert mark.exists()


@pytest.mark.parametrize(
    ("tensor", "complaint"),
    [
        ((0, (4, 4), (4, 1)), "reaches beyond its storage"),
        ((9, (3,), (1,)), "reaches beyond its storage"),
        ((0, (1 << 20, 1 << 20), (0, 0)), "reaches beyond its storage"),
        ((0, (3,), (-1,)), "a tensor that is none"),
        ((0, (3,), (1, 1)), "a tensor that is none"),
        ((-1, (3,), (1,)), "a tensor that is none"),
        ((0, (1,) * 9, (1,) * 9), "a tensor that is none"),
        (("a", (3,), (1,)), "a tensor that is none"),
    ],
)
def test_a_tensor_stays_inside_its_storage(tmp_path: Path, tensor: tuple, complaint: str) -> None:
    path = tmp_path / "x"
    storage = ("storage", Storage("FloatStorage"), "0", "cpu", 10)
    path.write_bytes(legacy_file({"x": Tensor(storage, *tensor)}, ["0"], [bytes(40)], [10]))
    with pytest.raises(InputError, match=complaint):
        read_checkpoint(path)


def test_other_traps(tmp_path: Path, torch: Any) -> None:
    path = tmp_path / "x"
    loop = b"\x80\x02]q\x00h\x00a."  # a list that holds itself
    bomb = b"\x80\x02" + b"(" + b"X\x01\x00\x00\x00a" + b"2" * 10 + b"t."
    deep = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    for pickled in (
        loop,
        bomb,
        deep,
        b"\x80\x02}X\x01\x00\x00\x00ar\xff\xff\xff\xff.",
        b"",
        b"\x80\x02.",
        b"N",
    ):
        path.write_bytes(zip_of(pickled))
        with pytest.raises(InputError):
            read_checkpoint(path)
    save(torch, {"x": torch.zeros(1 << 16)}, path, False)
    rewrite(path, lambda _, data: data, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed"):
        read_checkpoint(path)
    for text, complaint in ((b"", "no checkpoint"), (b"PK\x03\x04", "zip"), (b"hello\n", "no checkpoint")):
        path.write_bytes(text)
        with pytest.raises(InputError, match=complaint):
            read_checkpoint(path)
    with pytest.raises(InputError, match="cannot read"):
        read_checkpoint(tmp_path)


def complaint_of(path: Path, config: Config) -> str | None:
    try:
        generator_weights(path, config)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("legacy", [False, True])
def test_damage_is_said_in_one_line(torch: Any, tmp_path: Path, legacy: bool) -> None:
    """Bytes changed, lost or put in at random: it is read, or refused; nothing else comes out."""
    tiny = msgspec.structs.replace(
        SMALL, upsample_initial_channel=8, resblock_kernel_sizes=(3,), resblock_dilation_sizes=((1,),)
    )
    path = save(torch, {"generator": weights_of(torch, tiny)}, tmp_path / "x", legacy)
    data, rng = path.read_bytes(), np.random.default_rng(1)
    refused = 0
    for _ in range(120):
        broken = bytearray(data)
        for _ in range(int(rng.integers(1, 5))):
            at = int(
                rng.integers(0, min(len(broken), 4000))
                if rng.random() < 0.7
                else rng.integers(0, len(broken))
            )
            kind = rng.integers(3)
            if kind == 0:
                broken[at] = rng.integers(256)
            elif kind == 1:
                del broken[at : at + int(rng.integers(1, 20))]
            else:
                broken[at:at] = rng.bytes(int(rng.integers(1, 20)))
        path.write_bytes(bytes(broken[: int(rng.integers(0, len(broken)))] if rng.random() < 0.2 else broken))
        if (said := complaint_of(path, tiny)) is not None:
            refused += 1
            assert "\n" not in said
            assert len(said) < 600
    assert refused > 50


def test_a_config_that_does_not_fit_says_where(torch: Any, tmp_path: Path) -> None:
    path = save(torch, {"generator": weights_of(torch, SMALL)}, tmp_path / "g", False)
    for config, complaint in (
        (V3, "conv_pre.weight is"),
        (msgspec.structs.replace(SMALL, resblock="1"), "convs1"),
        (
            msgspec.structs.replace(
                SMALL, resblock_kernel_sizes=(3, 5), resblock_dilation_sizes=((1, 2), (2, 6))
            ),
            "does not fit",
        ),
    ):
        with pytest.raises(InputError, match=complaint):
            generator_weights(path, config)
    weights = weights_of(torch, SMALL)
    weights["conv_pre.bias"][0] = torch.nan
    with pytest.raises(InputError, match="holds numbers that are not finite"):
        generator_weights(save(torch, {"generator": weights}, path, False), SMALL)
    with pytest.raises(InputError, match="holds discriminators"):
        generator_weights(save(torch, {"mpd": {}, "msd": {}}, path, False), SMALL)
    half = normed(torch, weights_of(torch, SMALL), ("weight_g", "weight_v"))
    del half["conv_pre.weight_g"]
    with pytest.raises(InputError, match="direction"):
        generator_weights(save(torch, {"generator": half}, path, False), SMALL)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"upsample_rates": [8, 8, 2]}, "3 upsample_rates, 4 upsample_kernel_sizes"),
        ({"upsample_rates": [8, 8, 2, 4]}, "multiply to 512"),
        ({"upsample_kernel_sizes": [16, 16, 4, 5]}, "odd number"),
        ({"upsample_initial_channel": 100}, "cannot be halved 4 times"),
        ({"upsample_initial_channel": 10**9}, "upsample_initial_channel"),
        ({"resblock_kernel_sizes": [3, 7, 10]}, "must be odd"),
        ({"resblock_dilation_sizes": [[1, 3, 5]]}, "3 resblock_kernel_sizes"),
        ({"resblock_dilation_sizes": [[], [1], [1]]}, "resblock_dilation_sizes"),
        ({"resblock": 1}, "resblock"),
        ({"fmax": 20000}, "20000 Hz"),
        ({"sampling_rate": "x"}, "sampling_rate"),
        ({"win_size": 2048}, "window 2048"),
    ],
)
def test_configs_that_contradict_themselves(tmp_path: Path, changes: dict, complaint: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(msgspec.json.encode(msgspec.to_builtins(V2) | changes))
    with pytest.raises(InputError, match=complaint):
        read_config(path)


def test_configs_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for text in (b"", b"{", b"[]", b"\xff\xfe", b"{}", b"[" * 100_000):
        path.write_bytes(text)
        with pytest.raises(InputError, match="no HiFi-GAN config"):
            read_config(path)
    for known in PUBLISHED.values():
        path.write_bytes(msgspec.json.encode({**msgspec.to_builtins(known), "num_gpus": 0}))
        assert read_config(path) == known
