"""Training HiFi-GAN as its authors do (arXiv 2010.05646, section 3.1), with their checkpoints in and out.

What a step draws depends on the seed, the step and the process alone: a training that was interrupted goes on to the
same weights, on one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rtsynth.errors import UsageError
from rtsynth.training.hifigan import Generator
from rtsynth.training.hifigan_corpus import Batch, Clip, draw
from rtsynth.training.hifigan_discriminators import MultiPeriod, MultiScale
from rtsynth.training.hifigan_files import (
    find,
    load_official,
    load_optimiser,
    official_state,
    read_rest,
    write,
)
from rtsynth.training.hifigan_losses import (
    FEATURES,
    MEL,
    Mel,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
    mel_loss,
)
from rtsynth.training.ranks import Ranks
from rtsynth.vocoder.checkpoint import read_checkpoint
from rtsynth.vocoder.hifigan import Config
from rtsynth.vocoder.mel import mel_frames

EVERY = 1000  # steps from one checkpoint to the next
DECAY = 0.01  # of weights, a step of AdamW

Watch = Callable[[int, dict[str, float]], None]


class Training:
    """Three networks on their way: `step` after step; `save` and `resume` in between."""

    def __init__(
        self,
        config: Config,
        device: str = "cpu",
        ranks: Ranks = Ranks(),  # noqa: B008
        thinner: int = 1,  # divides the channels of the discriminators; 1 as published
    ) -> None:
        torch.set_num_threads(1)  # the same weights on however many cores
        torch.manual_seed(config.seed)
        self.config, self.device, self.ranks = config, device, ranks
        self.generator = Generator(config).to(device)
        self.mpd, self.msd = MultiPeriod(thinner).to(device), MultiScale(thinner).to(device)
        self.mel = Mel(config.mel_for_loss).to(device)
        self.optim_g = self._optimiser(self.generator)
        self.optim_d = self._optimiser(self.msd, self.mpd)  # in the original's order
        self.batch = max(1, config.batch_size // ranks.size)
        self.steps = 0  # done
        self.epoch = 0
        self.place = 0  # batches of the epoch that are done

    def _optimiser(self, *modules: nn.Module) -> torch.optim.AdamW:
        config = self.config
        parameters = chain.from_iterable(module.parameters() for module in modules)
        optimiser = torch.optim.AdamW(
            parameters, config.learning_rate, (config.adam_b1, config.adam_b2), weight_decay=DECAY
        )
        for group in optimiser.param_groups:
            group["initial_lr"] = config.learning_rate  # the original's schedule looks for it
        return optimiser

    def step(self, clips: Sequence[Clip]) -> dict[str, float]:
        """One step of the discriminators, then one of the generator; the losses by name."""
        self._set_rate()
        batch = self._draw(clips)
        sound = batch.sound.to(self.device)
        said = self.generator(batch.mel.to(self.device))
        losses = {"discriminators": self._teach_discriminators(sound, said.detach())}
        losses |= self._teach_generator(sound, said)
        self.steps += 1
        self.place += 1
        if self.place * self.batch * self.ranks.size >= len(clips):
            self.epoch, self.place = self.epoch + 1, 0
        return losses

    def _teach_discriminators(self, sound: torch.Tensor, said: torch.Tensor) -> float:
        self.optim_d.zero_grad()
        loss = discriminator_loss(self.mpd(sound), self.mpd(said)) + discriminator_loss(
            self.msd(sound), self.msd(said)
        )
        loss.backward()
        self.ranks.average(chain(self.msd.parameters(), self.mpd.parameters()))
        self.optim_d.step()
        return float(loss.detach())

    def _teach_generator(self, sound: torch.Tensor, said: torch.Tensor) -> dict[str, float]:
        self.optim_g.zero_grad()
        heard = [(judge(sound), judge(said)) for judge in (self.mpd, self.msd)]
        adversarial = torch.stack([adversarial_loss(made) for _, made in heard]).sum()
        features = torch.stack([feature_loss(real, made) for real, made in heard]).sum()
        mel = mel_loss(self.mel(sound[:, 0]), self.mel(said[:, 0]))
        loss = adversarial + FEATURES * features + MEL * mel
        loss.backward()
        self.ranks.average(self.generator.parameters())
        self.optim_g.step()
        parts = {"generator": loss, "adversarial": adversarial, "features": features, "mel": mel}
        return {name: float(part.detach()) for name, part in parts.items()}

    def _set_rate(self) -> None:
        rate = self.config.learning_rate * self.config.lr_decay**self.epoch
        for group in chain(self.optim_g.param_groups, self.optim_d.param_groups):
            group["lr"] = rate

    def _draw(self, clips: Sequence[Clip]) -> Batch:
        """Every recording once an epoch, shared out among the processes; the last batch begins at the front again."""
        order = np.random.default_rng([self.config.seed, self.epoch]).permutation(len(clips))
        first = (self.place * self.ranks.size + self.ranks.rank) * self.batch
        chosen = [clips[order[(first + n) % len(clips)]] for n in range(self.batch)]
        rng = np.random.default_rng([self.config.seed, self.steps, self.ranks.rank])
        return draw(chosen, self.config, rng)

    def save(self, folder: Path) -> Path:
        """`g_…` and `do_…`, as the original writes them; the generator's path. The last step done gives the number."""
        number = self.steps - 1
        rest = {
            "mpd": official_state(self.mpd),
            "msd": official_state(self.msd),
            "optim_g": self.optim_g.state_dict(),
            "optim_d": self.optim_d.state_dict(),
            "steps": number,
            "epoch": self.epoch,
            "batch": self.place,  # the original does without, and begins the epoch again
        }
        write(folder / f"do_{number:08d}", rest)
        path = folder / f"g_{number:08d}"
        write(path, {"generator": official_state(self.generator)})
        return path

    def resume(self, place: Path) -> None:
        """From a folder's newest checkpoint, or a generator's file: alone, if no `do_…` is beside it."""
        generator, rest = find(place)
        found = read_checkpoint(generator)
        load_official(self.generator, found.get("generator"), str(generator))
        if rest is None:
            return
        state, where = read_rest(rest), str(rest)
        load_official(self.mpd, state["mpd"], where)
        load_official(self.msd, state["msd"], where)
        load_optimiser(self.optim_g, state["optim_g"], where)
        load_optimiser(self.optim_d, state["optim_d"], where)
        self.steps, self.epoch, self.place = state["steps"] + 1, state["epoch"], state.get("batch", 0)


def train(
    training: Training,
    clips: Sequence[Clip],
    steps: int,
    folder: Path,
    *,
    every: int = EVERY,
    progress: Callable[[float], None] | None = None,
    watch: Watch | None = None,
) -> Path:
    """Steps until there have been `steps`; a checkpoint after every so many, and at the end: its generator's path."""
    if training.steps >= steps:
        raise UsageError(
            f"{training.steps} steps are done already: ask for more: --steps {2 * training.steps}"
        )
    path = folder
    while training.steps < steps:
        losses = training.step(clips)
        last = training.steps == steps
        if training.ranks.first and (last or training.steps % every == 0):
            path = training.save(folder)
        if watch is not None:
            watch(training.steps, losses)
        if progress is not None:
            progress(training.steps / steps)
    return path


@torch.no_grad()
def held_out_error(generator: Generator, clips: Sequence[Clip]) -> float:
    """Mean |difference| of log-mel frames, nepers: recordings, and what the generator makes of their frames."""
    config, errors = generator.config, []
    device = next(generator.parameters()).device
    for clip in clips:
        heard = mel_frames(clip.samples, config.sampling_rate, config.mel)
        given = heard if clip.mel is None else clip.mel
        said = generator(torch.from_numpy(given)[None].to(device))[0, 0].cpu().numpy()
        again = mel_frames(said, config.sampling_rate, config.mel)
        frames = min(heard.shape[1], again.shape[1])
        errors.append(float(np.abs(heard[:, :frames] - again[:, :frames]).mean()))
    return float(np.mean(errors))
