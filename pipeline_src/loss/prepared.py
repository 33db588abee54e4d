"""A batch on its device: whose clips they are, and their views, each made once for all losses that train on it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline_src.batches.draws import Draws, generator
from pipeline_src.batches.normalise import Statistics, normalise
from pipeline_src.batches.transforms import TRANSFORMS
from pipeline_src.batches.views import View, apply, moment
from pipeline_src.networks.parallel import gather, process


class PreparedBatch:
    """This process's part of a batch of stored windows.

    Args:
        batch: as the loader gives it.
        number: of the batch; with the seed, the views' random numbers derive from it.
        seed: of the training.
        statistics: per modality, mean and deviation of the pool.
        dtype: of the views.
        channels_last: whether video lies in memory with the channels innermost.

    Attributes:
        sound, all_sound: which clips have sound: rows of this process's, and of all; none where fewer than two have.
        mine: which of all clips are this process's, on the CPU.
        clips, videos, classes: numbers of all processes' clips, of their videos and of their classes.
    """

    def __init__(
        self,
        batch: Mapping[str, Tensor],
        number: int,
        seed: int,
        statistics: Statistics,
        dtype: torch.dtype,
        channels_last: bool = False,
    ) -> None:
        self.number = number
        has_sound = batch["has_sound"]
        self.device = has_sound.device
        self.sound = has_sound.nonzero().squeeze(1)
        self.all_sound = gather(has_sound.to(torch.uint8)).nonzero().squeeze(1)
        if len(self.all_sound) < 2:
            # Batch statistics need two clips; terms of sound see that there are too few and stay silent.
            self.sound, self.all_sound = self.sound[:0], self.all_sound[:0]
        self.mine = process() * len(has_sound) + torch.arange(len(has_sound))
        self.clips, self.videos, self.classes = (gather(batch[name]) for name in ("clip", "video", "class"))
        self._batch, self._seed, self._statistics = batch, seed, statistics
        self._dtype, self._channels_last = dtype, channels_last
        self._windows: dict[tuple[str, str], Tensor] = {}
        self._made: dict[View, tuple[Tensor, Tensor]] = {}
        self._flags: dict[str, Tensor] = {}

    def view(self, view: View) -> Tensor:
        """The clips as a view shows them; of sound, those that have any."""
        return self._view(view)[0]

    def label(self, view: View) -> Tensor:
        """What was drawn for each clip of a view."""
        return self._view(view)[1]

    def usable(self, view: View) -> Tensor:
        """Whether each of all clips is long enough for a view. All processes must ask in the same order."""
        usable = self._flag(f"{moment(view)}.usable")
        return usable & self.whole(view) if TRANSFORMS[view.transform].ordered else usable

    def whole(self, view: View) -> Tensor:
        """Whether each of all clips has all of a view's window, without padding. Asked for in the same order, too."""
        return self._flag(f"{view.modality}.{moment(view)}.whole")

    def _flag(self, name: str) -> Tensor:
        if name not in self._flags:
            self._flags[name] = gather(self._batch[name].to(torch.uint8)) > 0
        return self._flags[name]

    def _view(self, view: View) -> tuple[Tensor, Tensor]:
        if view not in self._made:
            self._made[view] = self._make(view)
        return self._made[view]

    def _make(self, view: View) -> tuple[Tensor, Tensor]:
        audio = view.modality == "audio"
        stream = (view.modality, moment(view))
        if stream not in self._windows:
            stored = self._batch[".".join(stream)]
            stored = stored[self.sound] if audio else stored
            self._windows[stream] = normalise(stored, view.modality, self._statistics, self._dtype)
        _, (across, down) = self._statistics.get("flow.pixels", ([], [0.0, 0.0]))
        # Without the modality: the streams of a clip are cropped and mirrored alike.
        random = generator(self._seed, self.number, view.transform, *view.settings)
        mine = self.mine[self.sound.cpu()] if audio else self.mine
        draws = Draws(random, len(self.videos), mine, self.device, self._dtype, (across, down))
        clips, label = apply(view, self._windows[stream], draws)
        if self._channels_last and clips.dim() == 5:
            clips = clips.contiguous(memory_format=torch.channels_last_3d)
        return clips, self._batch[f"{stream[1]}.label"] if label is None else label
