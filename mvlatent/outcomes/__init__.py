"""Outcomes: one class pairs a likelihood with its prediction, and the reported head."""

from .cox import Cox
from .head import BlockHead
from .labels import LABELS, Categorical
from .piecewise import PiecewiseExponential
from .survival import SURVIVAL, survival_curves
from .target import Curvature, Target

__all__ = [
    "LABELS",
    "SURVIVAL",
    "BlockHead",
    "Categorical",
    "Cox",
    "Curvature",
    "PiecewiseExponential",
    "Target",
    "survival_curves",
]
