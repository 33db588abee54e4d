"""Random inputs for any term, and what the tests of values share.

References are calculated with numpy, scipy and scikit-learn. A term's own heads are black boxes, called on the same
whole batch; the formula behind them is calculated again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from scipy.special import expit, softmax
from sklearn.metrics import log_loss
from torch import Tensor, nn

from pipeline_src.batches.views import View
from pipeline_src.loss.engine import build_term
from pipeline_src.networks.encoder import CHANNELS, Features
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import LossSettings
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term

FRAMES, NEXT, CROP, COLUMNS, MELS = 6, 2, 12, 12, 6
VIDEO = (2, 3, 4, 5)
SHAPES = Shapes(
    layers={"rgb": VIDEO, "flow": VIDEO, "grey": VIDEO, "audio": (2, 4, 6, 8)},
    places={"rgb": (2, 3, 3), "flow": (2, 3, 3), "grey": (2, 3, 3), "audio": (3, 2)},
    frames=FRAMES,
    future_frames=NEXT,
    crop=CROP,
    decoder_width=4,
    stride=3,
    spectrogram=(COLUMNS, MELS),
)
EARLY_PLACES = {3: (3, 4, 4), 2: (4, 3)}
# Clips 0 and 3 stem from one video, and clips 1 and 5.
VIDEOS = (3, 1, 0, 3, 2, 1)
SOUND = (0, 2, 3, 5)
SMALL = {"hidden": 8, "size": 6, "queue": 7, "memory": 9, "clusters": 4, "prototypes": 5, "pair": 7, "boxes": 3}
LABELS = {
    **dict.fromkeys(("speed", "reversed", "shuffled", "segments"), 2),
    "rotated": 4,
    "playback": 6,
    "pace1": 4,
    "pace2": 4,
}
STILLS = ("frames", "frames1", "frames2", "keyframe", "middle")

Test = TypeVar("Test", bound=Callable[..., None])
Rows = Sequence[int]


def reference(*families: str) -> Callable[[Test], Test]:
    """Marks a test that compares the values of task families with another calculation."""
    for family in families:
        catalogue.check_choice("task", family)
    return lambda test: test


def build(name: str, shapes: Shapes = SHAPES, **settings: object) -> Any:
    """A term with small heads in double precision; as Any, since its heads have names of their own."""
    family = catalogue.terms()[name]
    small = {key: SMALL[key] for key in catalogue.declared("task", family) if key in SMALL}
    loss = LossSettings.model_validate({"terms": [name], "tasks": {family: {**small, **settings}}})
    torch.manual_seed(1)
    term = build_term(name, shapes, loss).double()
    for parameter in term.parameters():
        if not parameter.requires_grad:
            # Momentum heads begin as copies; none may pass for the other.
            parameter.data += torch.randn_like(parameter) / 2
    return term


def given(
    term: Term,
    *,
    number: int = 0,
    videos: Rows = VIDEOS,
    mine: Rows | None = None,
    sound: Rows = SOUND,
    unusable: Mapping[str, Rows] | None = None,
    padded: Rows = (),
    shapes: Shapes = SHAPES,
    dtype: torch.dtype = torch.float64,
    **changes: object,
) -> Inputs:
    """What a term reads in one step, random.

    Args:
        term: what it is for.
        number: of the batch; batches of different numbers differ.
        videos: of each clip of the whole batch.
        mine: this process's clips; all by default.
        sound: which of those have sound.
        unusable: per transform, the clips of the whole batch that are too short for it.
        padded: those whose windows are filled by padding.
        shapes: the networks'.
        dtype: precision of all values.
        changes: other fields of Inputs.
    """
    random = torch.Generator().manual_seed(number)
    own = list(range(len(videos))) if mine is None else list(mine)
    views = {*term.encoded, *term.targets, *(key.view for key in term.keys)}
    usable = {view: torch.ones(len(videos), dtype=torch.bool) for view in views}
    for view in views:
        usable[view][list((unusable or {}).get(view.transform, ()))] = False

    whole = torch.ones(len(videos), dtype=torch.bool)
    whole[list(padded)] = False

    def clips(view: View) -> int:
        return len(sound) if view.modality == "audio" else len(own)

    def seen(view: View) -> Features:
        rows = torch.tensor(sound, dtype=torch.long) if view.modality == "audio" else None
        return _features(view, clips(view), rows, shapes, random, dtype)

    found = Inputs(
        features={view: seen(view) for view in term.encoded},
        targets={view: _target(view, clips(view), shapes, random, dtype) for view in term.targets},
        keys={key: seen(key.view) for key in term.keys},
        labels={view: _label(view, clips(view), random, dtype) for view in sorted(views)},
        usable=usable,
        whole=dict.fromkeys(views, whole),
        sound=torch.tensor(sound, dtype=torch.long),
        clips=torch.arange(len(videos)),
        videos=torch.tensor(videos, dtype=torch.long),
        classes=torch.tensor([video % 2 for video in videos]),
        seed=(3, number),
        mine=torch.tensor(own, dtype=torch.long),
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def taken(inputs: Inputs, rows: Rows) -> Inputs:
    """A batch of some of the clips, or of copies of them; all have sound where there are audio views."""
    heard, chosen = inputs.sound.tolist(), list(rows)

    def cut(view: View, x: Tensor) -> Tensor:
        clips, places = len(inputs.mine), chosen
        if view.modality == "audio":
            clips, places = len(heard), [heard.index(row) for row in chosen]
        return x.reshape(clips, -1, *x.shape[1:])[places].flatten(0, 1)

    def features(view: View, found: Features) -> Features:
        a, b, c, d = (cut(view, layer) for layer in found.layers)
        return Features((a, b, c, d), torch.arange(len(chosen)) if view.modality == "audio" else None)

    return replace(
        inputs,
        features={view: features(view, found) for view, found in inputs.features.items()},
        targets={view: cut(view, x) for view, x in inputs.targets.items()},
        keys={key: features(key.view, found) for key, found in inputs.keys.items()},
        labels={view: cut(view, x) for view, x in inputs.labels.items()},
        usable={view: x[chosen] for view, x in inputs.usable.items()},
        whole={view: x[chosen] for view, x in inputs.whole.items()},
        sound=torch.arange(len(chosen)),
        clips=inputs.clips[chosen],
        videos=inputs.videos[chosen],
        classes=inputs.classes[chosen],
        mine=torch.arange(len(chosen)),
    )


def following(videos: Rows) -> list[int]:
    """For each clip the next one of another video, around the end; where there is one video alone, the very next."""
    found = []
    for i, video in enumerate(videos):
        turn = [*range(i + 1, len(videos)), *range(i)]
        found.append(([j for j in turn if videos[j] != video] or turn or [i])[0])
    return found


def _features(
    view: View, clips: int, rows: Tensor | None, shapes: Shapes, random: torch.Generator, dtype: torch.dtype
) -> Features:
    last = shapes.places[view.modality]
    early = EARLY_PLACES[len(last)]
    if view.transform in STILLS or view.transform == "next":
        last, early = (1, *last[1:]), (1, *early[1:])
    layers = []
    for layer, channels in enumerate(shapes.layers[view.modality]):
        size = (clips * pieces(view, shapes), channels, *(last if layer == 3 else early))
        layers.append(torch.randn(size, generator=random, dtype=dtype).requires_grad_())
    return Features((layers[0], layers[1], layers[2], layers[3]), rows)


def pieces(view: View, shapes: Shapes = SHAPES) -> int:
    """How many inputs of the encoder a clip's view consists of."""
    if view.transform.startswith("frames"):
        return shapes.frames
    if view.transform == "pieces":
        return int(view.settings[0]) ** 2
    if view.transform == "ranked":
        return 3
    return int(view.settings[0]) if view.transform == "questions" else 1


def _target(view: View, clips: int, shapes: Shapes, random: torch.Generator, dtype: torch.dtype) -> Tensor:
    frames = shapes.future_frames if view.transform == "next" else 1 if view.transform == "frames" else shapes.frames
    size: tuple[int, ...] = (frames, shapes.crop, shapes.crop)
    if view.modality == "audio":
        size = (COLUMNS * frames // shapes.frames, MELS)
    clips *= pieces(view, shapes)
    return torch.randn(clips, CHANNELS[view.modality], *size, generator=random, dtype=dtype)


def _label(view: View, clips: int, random: torch.Generator, dtype: torch.dtype) -> Tensor:
    if view.transform == "masked":
        return (torch.rand(clips, 1, CROP, CROP, generator=random) < 0.6).to(dtype)
    if view.transform.startswith("zoom"):
        drawn = torch.rand(clips, 5, generator=random, dtype=dtype)
        size = 0.5 + 0.4 * drawn[:, 2:4]
        return torch.cat([drawn[:, :2] * (1 - size), size, (drawn[:, 4:] < 0.5).to(dtype)], 1)
    classes = int(view.settings[0]) if view.transform in ("stretched", "questions") else LABELS.get(view.transform, 1)
    return torch.randint(classes, (clips,), generator=random)


def numbers(tensor: Tensor) -> np.ndarray:
    """A tensor for numpy."""
    return tensor.detach().double().numpy()


def lines(tensor: Tensor) -> np.ndarray:
    """Rows of length 1, for numpy."""
    found = numbers(tensor)
    return found / np.sqrt((found * found).sum(-1, keepdims=True))


def pooled(features: Features) -> Tensor:
    """Embeddings."""
    x = features.layers[3]
    return x.reshape(*x.shape[:2], -1).mean(2)


def frames_of(inputs: Inputs, view: View) -> Tensor:
    """(M, T, D) embeddings of the frames of each clip, which are encoded one clip after the other."""
    return pooled(inputs.features[view]).reshape(len(inputs.videos), -1, 5)


def grids_of(inputs: Inputs, view: View) -> Tensor:
    """(M, T, D) last activations of the frames of each clip; they are small enough to be their own grid."""
    layer = inputs.features[view].layers[3]
    assert layer.shape[2] == 1
    assert max(layer.shape[3:]) <= 3
    return layer.reshape(len(inputs.videos), -1, layer[0].numel())


def apart(frames: Tensor) -> Tensor:
    """What each frame (M, T, D) has that the mean of its clip's has not, in units of its deviation in the clip."""
    found = []
    for clip in numbers(frames):
        rest = clip - clip.mean(0)
        found.append(rest / np.sqrt((rest**2).mean() + 1e-6))
    return torch.as_tensor(np.array(found), dtype=frames.dtype)


def recorded(module: nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the module is given and gives, from now on, call by call."""
    calls: list[tuple[np.ndarray, np.ndarray]] = []
    module.register_forward_hook(lambda _, put, out: calls.append((numbers(put[0]), numbers(out))))
    return calls


def shrunk(clips: Tensor, size: tuple[int, ...]) -> np.ndarray:
    """Means of equal blocks: (N, C, ...) to (N, C, *size)."""
    whole = numbers(clips)
    steps = [have // want for have, want in zip(whole.shape[2:], size, strict=True)]
    found = np.empty((*whole.shape[:2], *size))
    for place in np.ndindex(*size):
        block = tuple(slice(at * step, (at + 1) * step) for at, step in zip(place, steps, strict=True))
        found[(slice(None), slice(None), *place)] = whole[(slice(None), slice(None), *block)].mean(
            tuple(range(2, whole.ndim))
        )
    return found


def cross_entropy(logits: np.ndarray, labels: Sequence[int]) -> float:
    return float(log_loss(labels, softmax(logits, axis=1), labels=range(logits.shape[1])))


def binary_cross_entropy(logits: np.ndarray, labels: Sequence[int]) -> float:
    return float(log_loss(labels, expit(logits), labels=[0, 1]))


def contrast(query: np.ndarray, above: Sequence[np.ndarray], below: Sequence[np.ndarray], temperature: float) -> float:
    """-log of the positives' (above) share among positives and negatives (below)."""
    weights = [sum(np.exp(float(query @ key) / temperature) for key in keys) for keys in (above, below)]
    return float(-np.log(weights[0] / (weights[0] + weights[1])))


def check_retrieval(found: Outcome, queries: np.ndarray, keys: np.ndarray, videos: Rows) -> None:
    """An outcome is right where a clip's own key is nearer than every key of other videos."""
    assert not found.error
    for i, query in enumerate(queries):
        rivals = [keys[j] for j in range(len(keys)) if videos[j] != videos[i]]
        assert found.values[i] == float(all(query @ keys[i] > query @ rival for rival in rivals))
        assert float(found.trivial[i]) == np.float32(1 / (1 + len(rivals)))


def check_accuracy(found: Outcome, right: Sequence[object], chance: float) -> None:
    """An outcome says for each example whether it is right."""
    assert not found.error
    assert found.values.tolist() == [float(bool(answer)) for answer in right]
    np.testing.assert_allclose(found.trivial.numpy(), chance, rtol=1e-6)
    assert len(found.trivial) == len(found.values)


def check_agreement(found: Outcome, answers: Sequence[int], labels: Sequence[int]) -> None:
    """An outcome says whether answers are labels, against the share of other examples with such labels."""
    assert not found.error
    for i, answer in enumerate(answers):
        others = [label for j, label in enumerate(labels) if j != i]
        assert found.values[i] == float(answer == labels[i])
        np.testing.assert_allclose(float(found.trivial[i]), others.count(answer) / len(others), rtol=1e-6)


def check_errors(found: Outcome, guess: np.ndarray, truth: np.ndarray) -> None:
    """An outcome is each example's mean squared error, against that of a mean from elsewhere."""
    assert found.error
    mean = sum(truth) / len(truth)
    np.testing.assert_allclose(numbers(found.values), [((g - t) ** 2).mean() for g, t in zip(guess, truth)], rtol=1e-9)
    elsewhere = [((mean - t) ** 2).mean() * len(truth) / (len(truth) - 1) for t in truth]
    np.testing.assert_allclose(numbers(found.trivial), elsewhere, rtol=1e-9)
