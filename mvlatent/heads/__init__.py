"""The reported head: empirical-Bayes blocks on the frozen posterior, and heads of the views."""

from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.causes import CauseHeads, Head, fit_head, head_from_state

__all__ = ["BlockHead", "CauseHeads", "Head", "fit_head", "head_from_state"]
