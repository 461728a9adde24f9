"""Studies: estimates on patients that a model has not seen.

=============  =====================================================================
Folds          `folds`: keep sites whole, balance events
Estimates      `out_of_fold` → `OutOfFold`: each patient predicted by a model of the others
Choice         `path` → `Path`: an objective's strength swept and chosen on held-out patients
=============  =====================================================================
"""

from mvlatent.study._folds import folds
from mvlatent.study._out_of_fold import OutOfFold, out_of_fold
from mvlatent.study._path import Path, path

__all__ = [
    "OutOfFold",
    "Path",
    "folds",
    "out_of_fold",
    "path",
]
