"""Studies: estimates on patients that a model has not seen."""

from mvlatent.study.folds import OutOfFold, out_of_fold

__all__ = ["OutOfFold", "out_of_fold"]
