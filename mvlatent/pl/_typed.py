"""What a plot draws is what a tool or a method returned, never the model or cohort itself."""

from typing import Any

from mvlatent.specs.checks import kind_of, shown

__all__ = ["check_drawn"]


def check_drawn(
    value: Any, plot: str, wanted: str, *, cohorts: bool = False, models: bool = False
) -> None:
    """Raise TypeError for a model, a cohort, a path or nothing in the place of a result.

    Examples
    --------
    >>> check_drawn("model/", "ledger", "model.ledger()")
    Traceback (most recent call last):
    ...
    TypeError: mv.pl.ledger draws a result, not 'model/'; pass it model.ledger().
    """
    model = hasattr(value, "is_trained_") and not models
    cohort = hasattr(value, "obsm") and not cohorts
    if not (model or cohort or value is None or isinstance(value, str | bytes | int | float)):
        return
    what = kind_of(value) if model or cohort else shown(value)
    raise TypeError(f"mv.pl.{plot} draws a result, not {what}; pass it {wanted}.")
