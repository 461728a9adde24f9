"""Decoders: from shared, private and technical factors to a view's linear predictor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mvlatent.vae.affine import Affine
from mvlatent.vae.loadings import RandomLoadings

__all__ = ["DECODERS", "MLP", "Additive", "Linear", "residual_network"]


def residual_network(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Two-layer network whose last layer starts at zero, so that it starts as no change at all."""
    last = nn.Linear(n_hidden, n_out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(n_in, n_hidden),
        nn.LayerNorm(n_hidden),
        nn.SiLU(),
        nn.Linear(n_hidden, n_hidden),
        nn.SiLU(),
        last,
    )


class Linear(nn.Module):
    r"""Group factor analysis: :math:`g = zA + wV + sB + b`.

    Parameters
    ----------
    n_shared, n_private, n_technical, n_features
        Sizes of z, w, s and of the view.
    n_hidden
        Width of the network (unused here).

    References
    ----------
    Klami et al. (2015), Group factor analysis.
    """

    is_linear = True
    is_affine = True  # in a function of z: what `affine` needs

    def __init__(
        self,
        n_shared: int,
        n_private: int,
        n_technical: int,
        n_features: int,
        *,
        n_hidden: int = 64,
    ) -> None:
        super().__init__()
        self.shared = nn.Parameter(0.1 * torch.randn(n_shared, n_features))
        self.private = nn.Parameter(0.1 * torch.randn(n_private, n_features))
        self.intercept = nn.Parameter(torch.zeros(n_features))
        self.random_loadings: RandomLoadings | None = None  # around A and V

    @property
    def loadings(self) -> Tensor:
        """Loadings A over V at their mean, (k + d, p)."""
        return torch.cat([self.shared, self.private])

    def drawn_loadings(self, view: str) -> Tensor | None:
        """Loadings as sites of the model, (k + d, p); ``None`` where they are points."""
        return None if self.random_loadings is None else self.random_loadings.model(view)

    def draw_loadings(self, view: str) -> None:
        """Loadings as sites of the guide; nothing where they are points."""
        if self.random_loadings is not None:
            self.random_loadings.guide(view, self.loadings)

    def forward(
        self,
        z: Tensor,
        w: Tensor,
        technical: Tensor,
        effect: Tensor,
        loadings: Tensor | None = None,
    ) -> Tensor:
        """Linear predictor (..., n, p) for z (..., n, k), w (..., n, d), s (n, q), B (q, p).

        ``loadings`` (k + d, p) stand in for A over V where they were drawn.
        """
        if z.dim() == 2:
            return self.affine(z, w, technical, effect, loadings).dense()
        loadings = self.loadings if loadings is None else loadings
        predictor = torch.cat([self.warp(z), w], -1) @ loadings
        return predictor + self.offset(technical, effect)

    def affine(
        self,
        z: Tensor,
        w: Tensor,
        technical: Tensor,
        effect: Tensor | None,
        loadings: Tensor | None = None,
    ) -> Affine:
        """Return the same for z (n, k), not multiplied out."""
        factors = torch.cat([self.warp(z), w, technical], -1)
        own = [self.shared, self.private] if loadings is None else [loadings]
        rows = [*own, *([] if effect is None else [effect])]
        return Affine(factors, torch.cat(rows), self.intercept)

    def warp(self, z: Tensor) -> Tensor:
        """Return what the shared loadings multiply, (..., n, k)."""
        return z

    def offset(self, technical: Tensor, effect: Tensor) -> Tensor:
        """What does not depend on z and w: ``b + sB``, (n, p) or (p,)."""
        if technical.shape[1] == 0:
            return self.intercept
        return torch.addmm(self.intercept, technical, effect)


class Additive(Linear):
    r""":math:`g = h(z)A + wV + sB + b` with a residual network :math:`h(z) = z + \mathrm{MLP}(z)`.

    References
    ----------
    Märtens & Yau (2020), Neural decomposition: functional ANOVA with variational autoencoders.
    """

    is_linear = False

    def __init__(
        self,
        n_shared: int,
        n_private: int,
        n_technical: int,
        n_features: int,
        *,
        n_hidden: int = 64,
    ) -> None:
        super().__init__(n_shared, n_private, n_technical, n_features)
        self.bend = residual_network(n_shared, n_hidden, n_shared)

    def warp(self, z: Tensor) -> Tensor:
        bent: Tensor = self.bend(z)
        return z + bent


class MLP(Linear):
    """The linear decoder plus a network on z, w and s that starts at zero."""

    is_linear = False
    is_affine = False

    def __init__(
        self,
        n_shared: int,
        n_private: int,
        n_technical: int,
        n_features: int,
        *,
        n_hidden: int = 64,
    ) -> None:
        super().__init__(n_shared, n_private, n_technical, n_features)
        self.network = residual_network(n_shared + n_private + n_technical, n_hidden, n_features)

    def forward(
        self,
        z: Tensor,
        w: Tensor,
        technical: Tensor,
        effect: Tensor,
        loadings: Tensor | None = None,
    ) -> Tensor:
        s = technical.expand(*z.shape[:-1], technical.shape[-1])
        bent: Tensor = self.network(torch.cat([z, w, s], -1))
        return super().forward(z, w, technical, effect, loadings) + bent


DECODERS: dict[str, type[Linear]] = {"linear": Linear, "additive": Additive, "mlp": MLP}
