"""Ridge regression of a view's leading scores on those of the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mvlatent.fitting.surfaces import Scores

__all__ = ["N_SCORES", "Inputs", "Ridge"]

N_SCORES = 150  # leading scores of a view that a head reads, and that it predicts
PENALTIES = tuple(10.0 ** (0.5 * i) for i in range(-2, 11))  # of scores whose first has unit sd


class Inputs:
    """Leading scores of every view, the first of unit sd."""

    def __init__(self, views: Sequence[Scores]) -> None:
        self.scale = [float((v.energy[0] / max(v.n, 1)).sqrt().clamp_min(1e-8)) for v in views]
        self.values = [v.values[:, :N_SCORES] / s for v, s in zip(views, self.scale, strict=True)]

    def filled(self, m: int, expected: Sequence[Tensor], presence: Tensor) -> list[Tensor]:
        """Scores of the views but m, what is expected where a patient lacks one."""
        return [
            torch.where(presence[:, o, None], x, expected[o][:, : x.shape[1]] / self.scale[o])
            for o, x in enumerate(self.values)
            if o != m
        ]


class Ridge:
    """Ridge regression of several targets, its penalty by leave-one-out."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.mean_x, self.mean_y = x.mean(0), y.mean(0)
        x, y = x - self.mean_x, y - self.mean_y
        wide = x.shape[1] > len(x)
        values, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
        values = values.clamp_min(0)
        if wide:
            left, across = vectors, x.T @ vectors
        else:
            left, across = x @ vectors, vectors
        best = float("inf")
        inner = left.T @ y
        for penalty in PENALTIES:
            shrink = 1.0 / (values + penalty)
            factor = values * shrink if wide else shrink
            fitted = left @ (factor[:, None] * inner)
            leverage = (left.square() * factor).sum(1) + 1.0 / len(x)
            error = float(((y - fitted) / (1 - leverage).clamp_min(1e-3)[:, None]).square().sum())
            if error < best:
                best, self.penalty = error, penalty
                self.coef = across @ (shrink[:, None] * inner)

    def __call__(self, x: Tensor) -> Tensor:
        fitted: Tensor = (x - self.mean_x) @ self.coef + self.mean_y
        return fitted
