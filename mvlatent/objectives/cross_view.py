"""Cross view: what some views of a patient say of the others, through z alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mvlatent.objectives.base import Scene, Term
from mvlatent.vae.marginal import has_closed_form, log_marginal, log_marginal_by_draws
from mvlatent.vae.structured import StructuredVAE

__all__ = ["CrossView", "draw_subsets"]


def draw_subsets(presence: Tensor) -> Tensor:
    """Draw a random proper, non-empty subset of each patient's views, (n, M) bool.

    The size is uniform over 1..|O|-1, the subset uniform given its size. A patient with one view
    has no such subset: the row stays empty.

    Examples
    --------
    >>> draw_subsets(torch.tensor([[True, True, False], [False, True, False]])).sum(1).tolist()
    [1, 0]
    """
    n, m = presence.shape
    order = torch.rand(n, m + 1, device=presence.device)
    count = presence.sum(1)
    size = 1 + (order[:, m] * (count - 1)).floor().long()  # rand() < 1: at most |O| - 1
    rank = torch.where(presence, order[:, :m], 2.0).argsort(1).argsort(1)
    return presence & (rank < size[:, None]) & (count > 1)[:, None]


class AuxiliaryPriors(nn.Module):
    """A learnt scale a private dimension, for each view whose w cannot be integrated out."""

    def __init__(self, vae: StructuredVAE) -> None:
        super().__init__()
        self.names = [name for name, part in vae.items if not has_closed_form(part)]
        sizes = [vae.part(name).design.n_private for name in self.names]
        self.log_scales = nn.ParameterList(nn.Parameter(torch.zeros(d)) for d in sizes)

    def scale(self, name: str) -> Tensor:
        """Scale s of the view's auxiliary prior, (d,)."""
        log_scale: Tensor = self.log_scales[self.names.index(name)]
        return log_scale.exp()


@dataclass(frozen=True, kw_only=True)
class CrossView(Term):
    r"""Log density of views that were hidden from z, with their private latents integrated out.

    For a random proper subset S of each patient's views O,

    .. math:: E_{q(z \mid x_S)} \sum_{m \in O \setminus S} \log\int p(x_m \mid z, w, s)\,p(w)\,dw ,

    in nats a patient. What is shared has to be in z and cannot hide in w, which the other views
    do not know. Exact for normal noise and a private part that is linear; elsewhere a lower bound
    by draws of w from an auxiliary prior of learnt scale. A patient with one view adds nothing.

    Parameters
    ----------
    weight, schedule
        As in `Term`.
    n_samples
        Draws of w where there is no closed form.

    References
    ----------
    Palumbo, Daunhawer & Vogt (2023), MMVAE+: enhancing the generative quality of multimodal VAEs
    without compromises (the auxiliary prior).

    Examples
    --------
    >>> CrossView(weight=0.5).strength(0.25)
    0.25
    """

    name: ClassVar[str] = "cross_view"
    teaches_z: ClassVar[bool] = True

    n_samples: int = 1

    def check(self) -> None:
        if not isinstance(self.n_samples, int) or self.n_samples < 1:
            raise ValueError(
                f"{self.name}: n_samples must be a positive integer, not {self.n_samples!r}."
            )

    def state(self, vae: StructuredVAE) -> nn.Module:
        return AuxiliaryPriors(vae)

    def value(self, scene: Scene, state: Any) -> Tensor:
        subset = draw_subsets(scene.presence)
        z = scene.given(subset).rsample()
        predicted = scene.presence & ~subset & subset.any(1, keepdim=True)
        technical = scene.cohort.technical
        total = z.new_zeros(len(z))
        for name, part in scene.vae.items:
            asked = predicted[:, scene.vae.names.index(name)]
            effect = scene.draw.get(f"effect:{name}")
            view = scene.cohort.matrices[name]
            if has_closed_form(part):
                found = log_marginal(part, view, z, technical, effect)
            else:
                found = log_marginal_by_draws(
                    part,
                    view,
                    z,
                    technical,
                    effect,
                    scale=state.scale(name),
                    n_samples=self.n_samples,
                )
            total = total + torch.where(asked, found, 0.0)
        return total.mean()
