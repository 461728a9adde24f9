"""Studies: estimates on patients that a model has not seen."""

from mvlatent.study._out_of_fold import OutOfFold, out_of_fold
from mvlatent.study._path import Path, path

__all__ = ["OutOfFold", "Path", "out_of_fold", "path"]
