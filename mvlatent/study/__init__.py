"""Studies: estimates on patients that a model has not seen."""

from mvlatent.study.folds import OutOfFold, out_of_fold
from mvlatent.study.path import Path, path

__all__ = ["OutOfFold", "Path", "out_of_fold", "path"]
