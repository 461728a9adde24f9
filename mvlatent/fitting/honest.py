"""What held-out patients say: ridges, rank and sweeps that predict views from one another.

z, loadings and private covariances are fitted again without the patients who judge them. Leaving a
patient out of the last regression alone would not do: a z that has seen the patient rises with
every factor that is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mvlatent.fitting.canonical import canonical_scores
from mvlatent.fitting.private import FLAT, RAISED, shrunk
from mvlatent.fitting.shared import SharedModel
from mvlatent.fitting.surfaces import Scores

__all__ = ["Choice", "Fold", "choose", "folds_of", "leading"]

DIRECTIONS = 256  # of a view, in which held-out patients are asked
FOLDS, USED_FOLDS = 5, 3
MOST_ASKED = 4000  # patients who fit and judge the choices
MIN_HELD_OUT = 8  # patients of a fold; fewer say nothing
# degrees of freedom of a view's regressions as a share of its patients, or its bulk's shape
TRIED_SHARES = (FLAT, RAISED, 0.05, 0.1, 0.2, 0.4)
MIDDLE = (0.1, 0.3)  # shares tried where a flat bulk is best
STEPS = (0.5, 2.0)  # of one view's share around the common one
TRIED_RANKS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64)
SWEEPS = (0, 1, 2, 4, 8, 16)
MAX_SHARE, MIN_SHARE = 0.6, 0.01
ITERATIONS = 10  # of a start's subspace, which the one before gives
HOPELESS = 0.7  # of the best score before any sweep, below which a rank is not swept
LOSS = 0.01  # of the best score, which a smaller rank may cost
SETTLED = 0.02  # of the best score, which a criterion that has settled may cost


@dataclass(frozen=True)
class Choice:
    """What held-out patients prefer.

    Attributes
    ----------
    shares
        Degrees of freedom of each view's regressions, as a share of its patients.
    rank
        Shared factors.
    sweeps
        Sweeps of EM after which they were predicted best; ``None``: until the criterion settles.
    scores
        Held-out R² a view, mean over views, by rank at the sweeps that are best there.
    start
        The same of the chosen rank before any sweep.
    """

    shares: tuple[float, ...]
    rank: int
    sweeps: int | None
    scores: dict[int, float] = field(default_factory=dict)
    start: float = float("nan")

    @property
    def score(self) -> float:
        """Held-out R² at the choice."""
        return self.scores.get(self.rank, float("nan"))


class Fold:
    """Patients to fit and patients to judge by, in bases of the former."""

    def __init__(self, views: Sequence[Scores], fitted: Tensor, held_out: Tensor) -> None:
        self.held_out = held_out
        self.views = [view.subset(fitted) for view in views]
        self.presence = torch.stack([v.present for v in views], 1)[held_out]
        self.values = [view.values[held_out] for view in self.views]
        self._start: Tensor | None = None

    def started(self, shares: Sequence[float], k: int) -> SharedModel:
        """A model of the training patients before any sweep."""
        ridges = [
            shrunk(v.energy, v.n, v.width, s) for v, s in zip(self.views, shares, strict=True)
        ]
        z = canonical_scores(self.views, ridges, k, start=self._start, iterations=ITERATIONS)
        self._start = z
        return SharedModel(self.views, ridges, z)

    def score(self, model: SharedModel) -> Tensor:
        """Held-out R² of each view given all others, (M,); NaN where nobody tells.

        A view that is predicted worse than by its mean counts 0: the mean is always at hand.
        """
        out = []
        for m, view in enumerate(self.views):
            given = self.presence.clone()
            given[:, m] = False
            rows = self.presence[:, m] & given.any(1)
            if int(rows.sum()) < 2:
                out.append(float("nan"))
                continue
            values = [v[rows] for v in self.values]
            latent = model.posterior(given[rows], values, grouped=False)
            error = (values[m] - model.predict(m, latent)).square().sum()
            # energy outside the basis is not predicted by anyone: it counts in what there was
            share = view.total / float(view.energy.sum().clamp_min(1e-12))
            explained = float((1.0 - error / values[m].square().sum()) / share)
            out.append(max(explained, 0.0))
        return torch.tensor(out)


def leading(view: Scores) -> Scores:
    """The leading directions of a view, in which held-out patients are asked."""
    r = DIRECTIONS
    return replace(
        view,
        values=view.values[:, :r],
        energy=view.energy[:r],
        directions=view.directions[:, :r],
        features=view.width,
    )


def folds_of(views: Sequence[Scores], seed: int = 0) -> list[Fold]:
    """Folds in which every view has patients to judge by; none for a cohort too small."""
    n = len(views[0].present)
    several = torch.stack([v.present for v in views]).sum(0) > 1
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator)[:MOST_ASKED]
    folds = []
    for f in range(USED_FOLDS):
        held = torch.zeros(n, dtype=torch.bool)
        held[order[f::FOLDS]] = True
        fitted = torch.zeros(n, dtype=torch.bool)
        fitted[order] = True
        fitted &= ~held
        told = int((several & held).sum()) > 1 or len(views) == 1  # else no view tells of another
        if told and all(int((v.present & fitted).sum()) > 2 * MIN_HELD_OUT for v in views):
            folds.append(Fold(views, fitted, held))
    return folds if n >= FOLDS * MIN_HELD_OUT else []


def choose(
    folds: Sequence[Fold], most: int, *, rank: int | None = None, sweeps: int | None = None
) -> Choice:
    """Shares, rank and sweeps at which views of held-out patients are predicted best.

    Parameters
    ----------
    folds
        From `folds_of`.
    most
        Most shared factors.
    rank, sweeps
        Held where given.

    Notes
    -----
    A common share first, then one view's after the other at the rank that was best, both before any
    sweep; then rank and sweeps together. Of ranks that lose less than a hundredth of the best score
    the smallest is taken.
    """
    ranks = [k for k in TRIED_RANKS if k < most] + [most] if rank is None else [rank]
    n_views = len(folds[0].views)
    table = {s: _by_rank(folds, (s,) * n_views, ranks) for s in TRIED_SHARES}
    best = max(table, key=lambda s: max(table[s].values()))
    shares, k = [best] * n_views, _best(table[best])
    score = table[best][k]
    for m in range(n_views):
        for other in _around(best):
            tried = list(shares)
            tried[m] = other
            found = _by_rank(folds, tried, [k])[k]
            if found > score:
                shares, score = tried, found
    paths = _by_sweeps(folds, shares, ranks, sweeps)
    tops = {k: max(path.values()) for k, path in paths.items()}
    # the ranks that were left out around the first answer
    paths |= _by_sweeps(folds, shares, _between(_best(tops), ranks), sweeps)
    tops = {k: max(path.values()) for k, path in sorted(paths.items())}
    highest, kept = max(tops.values()), _best(tops)
    path = paths[kept]
    count = max(s for s, v in path.items() if v >= max(path.values()) - SETTLED * abs(highest))
    settles = sweeps is None and count == max(SWEEPS)
    return Choice(tuple(shares), kept, None if settles else count, tops, path[0])


def _around(share: float) -> list[float]:
    """Other shares for one view, where this one is best for all."""
    if share > 0:
        return [*(min(max(share * s, MIN_SHARE), MAX_SHARE) for s in STEPS), RAISED]
    return [*MIDDLE, FLAT if share == RAISED else RAISED]


def _by_rank(
    folds: Sequence[Fold], shares: Sequence[float], ranks: Sequence[int]
) -> dict[int, float]:
    """Held-out score before any sweep, by rank."""
    total = dict.fromkeys(ranks, 0.0)
    for fold in folds:
        whole = fold.started(shares, max(ranks))
        for k in ranks:
            model = whole if k == max(ranks) else whole.first(k)
            total[k] += float(fold.score(model).nanmean()) / len(folds)
    return total


def _by_sweeps(
    folds: Sequence[Fold], shares: Sequence[float], ranks: Sequence[int], sweeps: int | None
) -> dict[int, dict[int, float]]:
    """Held-out score by rank and number of sweeps; of hopeless ranks before any sweep only."""
    if not ranks:
        return {}
    marks = SWEEPS if sweeps is None else (0, sweeps)
    started = [fold.started(shares, max(ranks)) for fold in folds]
    models = {k: [whole if k == max(ranks) else whole.first(k) for whole in started] for k in ranks}
    first = {k: _mean_score(folds, models[k]) for k in ranks}
    least = HOPELESS * max(first.values())
    paths = {k: {0: score} for k, score in first.items()}
    for k, score in first.items():
        done = 0
        for mark in marks[1:] if score >= least else ():
            for model in models[k]:
                for _ in range(mark - done):
                    model.sweep()
            done = mark
            paths[k][mark] = _mean_score(folds, models[k])
    return paths


def _mean_score(folds: Sequence[Fold], models: Sequence[SharedModel]) -> float:
    """Held-out R², mean over views and folds."""
    each = [fold.score(model).nanmean() for fold, model in zip(folds, models, strict=True)]
    return float(torch.stack(each).mean())


def _between(k: int, ranks: Sequence[int]) -> list[int]:
    """Ranks next to k that are not among those tried."""
    low = max((r for r in ranks if r < k), default=k)
    high = min((r for r in ranks if r > k), default=k)
    return [r for r in range(low + 1, high) if r != k]


def _best(scores: dict[int, float]) -> int:
    """Smallest rank that is nearly as good as the best."""
    highest = max(scores.values())
    return min(k for k, v in scores.items() if v >= highest - LOSS * abs(highest))
