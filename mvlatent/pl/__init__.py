"""Plots: each function draws one result, takes ``ax=``, returns the Axes and never shows them."""

from mvlatent.pl.calibration import d_calibration
from mvlatent.pl.history import history
from mvlatent.pl.latent import latent
from mvlatent.pl.path import path
from mvlatent.pl.survival import kaplan_meier
from mvlatent.pl.variance import variance_explained

__all__ = ["d_calibration", "history", "kaplan_meier", "latent", "path", "variance_explained"]
