"""Streaming layers: a signal in frames of any sizes is the signal at once, as late as `place` says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")

from scipy.signal import lfilter  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from rtsynth.training.composing import Parallel, Sequence  # noqa: E402
from rtsynth.training.streaming import (  # noqa: E402
    GRU,
    LSTM,
    CausalConv1d,
    CentredConv1d,
    ConvTranspose1d,
    Delay,
    HighPass,
    Layer,
)

N, BATCH = 384, 2  # samples
TOLERANCE = 1e-6  # of outputs near 1


def resnet() -> Sequence:
    """A stage of a HiFi-GAN: an upsampling that is cut, then the mean of two residuals that look ahead differently."""

    def residual(kernel: int, dilation: int) -> Parallel:
        body = Sequence(nn.LeakyReLU(0.1), CentredConv1d(4, 4, kernel, dilation), CentredConv1d(4, 4, kernel))
        return Parallel(4, Layer(), body)

    return Sequence(
        CentredConv1d(3, 6, 7),
        ConvTranspose1d(6, 4, 8, 4, cut=2),
        Parallel(4, Sequence(residual(3, 1), residual(3, 3)), Sequence(residual(7, 1), residual(7, 5))),
        nn.LeakyReLU(0.01),
        CentredConv1d(4, 1, 7),
        nn.Tanh(),
    )


LAYERS: dict[str, tuple[Callable[[], Layer], int]] = {  # and the stride that frames must be a multiple of
    "conv": (lambda: CausalConv1d(3, 5, 4), 1),
    "kernel 1": (lambda: CausalConv1d(3, 5, 1), 1),
    "dilated": (lambda: CausalConv1d(3, 3, 3, dilation=9, groups=3), 1),
    "strided": (lambda: CausalConv1d(3, 5, 16, stride=8), 8),
    "stride = kernel": (lambda: CausalConv1d(3, 5, 4, stride=4), 4),
    "centred": (lambda: CentredConv1d(3, 5, 5, dilation=3), 1),
    "transpose": (lambda: ConvTranspose1d(3, 5, 7, 3), 1),
    "transpose, no tail": (lambda: ConvTranspose1d(3, 5, 4, 4, bias=False), 1),
    "transpose, cut": (lambda: ConvTranspose1d(3, 6, 8, 2, cut=3, groups=3), 1),
    "gru": (lambda: GRU(3, 7, layers=2), 1),
    "lstm": (lambda: LSTM(3, 7), 1),
    "high pass": (lambda: HighPass(3, 300.0, 8000.0), 1),
    "delay": (lambda: Delay(3, 5), 1),
    "down, up": (
        lambda: Sequence(CausalConv1d(3, 4, 8, stride=4), nn.Tanh(), ConvTranspose1d(4, 2, 8, 4)),
        4,
    ),
    "branches": (lambda: Parallel(3, Layer(), CentredConv1d(3, 3, 9), CausalConv1d(3, 3, 4)), 1),
    "hifi-gan": (resnet, 1),
}


def frames(total: int, stride: int, rng: np.random.Generator) -> list[int]:
    """Random lengths, multiples of the stride, that add up to `total`."""
    found: list[int] = []
    while (left := total - sum(found)) > 0:
        found.append(min(left, stride * int(rng.integers(1, 1 + 48 // stride))))
    return found


def streamed(layer: Layer, x: Tensor, sizes: list[int]) -> Tensor:
    """x (B, C, N) through `forward`, frame by frame."""
    states, parts = layer.initial_states(x.shape[0]), []
    for part in x.split(sizes, dim=-1):
        y, *after = layer(part, *states)
        assert [s.shape for s in after] == [s.shape for s in states]
        states = tuple(after)
        parts.append(y)
    return torch.cat(parts, dim=-1)


def built(name: str) -> tuple[Layer, int, Tensor]:
    torch.manual_seed(7)
    make, stride = LAYERS[name]
    return make().eval(), stride, torch.randn(BATCH, 3, N)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_frames_of_any_size_are_the_whole(name: str) -> None:
    layer, stride, x = built(name)
    whole, latency = layer.whole(x), layer.place(0)
    assert whole.abs().max() > 0.1
    for seed in range(5):
        sizes = frames(N, stride, np.random.default_rng(seed))
        late = streamed(layer, x, sizes)
        count = late.shape[-1] - latency
        assert count >= N // 10
        torch.testing.assert_close(late[..., latency:], whole[..., :count], rtol=0.0, atol=TOLERANCE)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_a_latency_wrong_by_one_would_be_seen(name: str) -> None:
    layer, stride, x = built(name)
    whole, latency = layer.whole(x), layer.place(0)
    late = streamed(layer, x, frames(N, stride, np.random.default_rng(1)))[..., latency:]
    count = late.shape[-1] - 1
    assert (late[..., 1:] - whole[..., :count]).abs().max() > 0.01


@torch.no_grad()
def test_without_the_masks_the_start_is_wrong() -> None:
    layer, _, x = built("hifi-gan")
    whole, latency = layer.whole(x), layer.place(0)
    for module in layer.modules():
        if isinstance(module, Sequence):
            for mask in module.masks:
                mask.latency = 0
    late = streamed(layer, x, [N])[..., latency:]
    error = (late - whole[..., : late.shape[-1]]).abs().amax(dim=(0, 1))
    assert error[:latency].max() > 1e-3
    assert error[-4 * 64 :].max() < TOLERANCE


def test_a_high_pass_is_the_recursion() -> None:
    layer, _, x = built("high pass")
    a = layer.pole
    low = lfilter([1.0 - a], [1.0, -a], x.double().numpy(), axis=-1)
    np.testing.assert_allclose(layer.whole(x).numpy(), x.numpy() - low, atol=TOLERANCE)
    assert a == pytest.approx(np.exp(-2 * np.pi * 300 / 8000), rel=1e-12)


@torch.no_grad()
def test_layers_are_those_of_torch() -> None:
    x = torch.randn(BATCH, 3, N)
    up = ConvTranspose1d(3, 5, 8, 4, cut=2)
    plain = nn.ConvTranspose1d(3, 5, 8, 4, padding=2)
    plain.load_state_dict(up.state_dict())
    torch.testing.assert_close(up.whole(x), plain(x), rtol=0.0, atol=TOLERANCE)
    conv = CentredConv1d(3, 5, 5, dilation=3)
    same = nn.Conv1d(3, 5, 5, dilation=3, padding="same")
    same.load_state_dict(conv.state_dict())
    torch.testing.assert_close(conv.whole(x), same(x), rtol=0.0, atol=TOLERANCE)


@torch.no_grad()
def test_what_a_causal_layer_said_does_not_change_with_what_follows() -> None:
    for name, (make, stride) in LAYERS.items():
        layer = make().eval()
        if layer.place(0):
            continue
        x, half = torch.randn(1, 3, N), N // 2
        other = torch.cat([x[..., :half], torch.randn(1, 3, N - half)], dim=-1)
        assert half % stride == 0
        kept = layer.whole(x).shape[-1] // 2
        assert torch.equal(layer.whole(x)[..., :kept], layer.whole(other)[..., :kept]), name


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CausalConv1d(1, 1, 2, stride=4), "misses some"),
        (lambda: CentredConv1d(1, 1, 4), "no centre"),
        (lambda: ConvTranspose1d(1, 1, 3, 4), "cut"),
        (lambda: ConvTranspose1d(1, 1, 8, 4, cut=5), "cut"),
        (lambda: Sequence(CentredConv1d(1, 4, 3), GRU(4, 4)), "put it first"),
        (lambda: Sequence(CentredConv1d(1, 4, 3), CausalConv1d(4, 4, 4, stride=2)), "a multiple"),
    ],
)
def test_what_cannot_stream_is_refused(make: Callable[[], Layer], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
