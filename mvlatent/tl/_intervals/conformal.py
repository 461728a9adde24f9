"""Conformal correction of a fitted model on patients it has not seen."""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mvlatent.tl._intervals.conformal_labels import ConformalLabels, conformal_labels
from mvlatent.tl._intervals.conformal_survival import ConformalSurvival, conformal_survival

if TYPE_CHECKING:
    from mudata import MuData

from mvlatent.data.assemble import check_cohort
from mvlatent.tl._model import check_model

__all__ = ["conformalize"]


def conformalize(
    model: Any,
    mdata: "MuData",
    *,
    outcome: str = "survival",
    level: float = 0.9,
    by: str | None = None,
    given: Any = None,
    times: Any = None,
    **options: Any,
) -> ConformalSurvival | ConformalLabels:
    """Calibrate a fitted model's survival bounds or label sets on a calibration cohort.

    What is promised, and when it fails, is said in :func:`conformal_survival` and
    :func:`conformal_labels`: above all, these patients must play no part in fitting, and new
    patients must be like them.

    Parameters
    ----------
    model
        A fitted :class:`mvlatent.MVLatent`.
    mdata
        Calibration cohort, with the outcome's columns; patients without the outcome are left out.
    outcome
        ``"survival"`` (of competing causes: the first event of any) or ``"labels"``, the first of
        its kind where there are several, or an outcome's name.
    level
        Probability that a bound or set holds.
    by
        Column of ``mdata.obs`` (the site) to calibrate within; pass it as ``group`` for new
        patients.
    given
        Views to look at; predict new patients with the same.
    times
        Times of the survival curves; ``None``: those of ``model.predict_survival``.
    **options
        Of :func:`conformal_survival` or :func:`conformal_labels`.

    Returns
    -------
    ConformalSurvival or ConformalLabels
        Use ``.lower(model.predict_survival(mdata=new))`` or
        ``.sets(model.predict_labels(new, proba=True))``, with the same ``outcome=`` where it is
        not the first of its kind.

    Raises
    ------
    KeyError
        If ``by`` is no column.
    ValueError
        If the outcome is unknown, the model or cohort does not have it, or patients come under
        observation late (an entry column).

    Warns
    -----
    UserWarning
        If patients bear names of patients that the model was fitted on.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> outcome = ("survival_months", "event")
    >>> model = mv.fit(mdata, survival=outcome, n_shared=5, max_epochs=2, progress=False)
    >>> calibration, _ = truth.new_patients(80, seed=1)
    >>> new, _ = truth.new_patients(20, seed=2)
    >>> found = mv.tl.conformalize(model, calibration, level=0.8)
    >>> months = found.lower(model.predict_survival(mdata=new))  # lived for by four in five
    >>> len(months), bool((months >= 0).all())
    (20, True)
    """
    check_model(model)
    check_cohort(mdata)
    role, name = _named(model, outcome)
    if by is not None and by not in mdata.obs:
        raise KeyError(f"no column {by!r} in mdata.obs; there are {[*mdata.obs]}.")
    cohort = model.cohort(mdata)
    held = cohort.outcomes.get(name)
    if held is None:
        raise ValueError(
            f"the calibration cohort has no {outcome} outcome, or the model has none; give "
            "cohorts with its columns."
        )
    _warn_of_fitted(model, cohort.obs_names)
    group = None if by is None else mdata.obs[by].to_numpy(dtype=object)
    reading: dict[str, Any] = {"outcome": name, "given": given}
    if times is not None:
        reading["times"] = times
    return CALIBRATIONS[role](model, mdata, held, reading, group, level=level, **options)


def _classes(
    model: Any, mdata: "MuData", held: Any, reading: dict[str, Any], group: Any, **options: Any
) -> ConformalLabels:
    """Sets of classes."""
    reading.pop("times", None)
    names = np.array([*held.categories, None], dtype=object)
    probabilities = model.predict_labels(mdata, proba=True, **reading)
    return conformal_labels(names[held.codes.numpy()], probabilities, group=group, **options)


def _times(
    model: Any, mdata: "MuData", held: Any, reading: dict[str, Any], group: Any, **options: Any
) -> ConformalSurvival:
    """Bounds of survival times."""
    seen = held.observed.numpy()
    if not seen.any():
        raise ValueError(
            "no patient of the calibration cohort has a known time and event; give some who have."
        )
    if held.entry is not None:
        raise ValueError(
            "patients enter late: the bounds count from time 0 and need everybody from there "
            "on; leave out who comes later."
        )
    curves = model.predict_survival(mdata=mdata, **reading).loc[:, seen]
    time, event = held.time.numpy()[seen], held.event.numpy()[seen]
    inside = None if group is None else group[seen]
    return conformal_survival(time, event, curves, group=inside, **options)


CALIBRATIONS: dict[str, Callable[..., ConformalSurvival | ConformalLabels]] = {
    "survival": _times,
    "labels": _classes,
}
"""How the outcomes of a role are calibrated, by role; others have no such correction."""


def _named(model: Any, outcome: str) -> tuple[str, str | None]:
    """Role and name of what ``outcome`` asks for; no name where the model has none of the role."""
    roles = model.trained.roles
    named = {k: role for k, role in roles.named.items() if role in CALIBRATIONS}
    if outcome in named:
        return named[outcome], outcome
    if outcome in roles.named:
        spec = roles.outcome(roles.named[outcome], outcome)
        raise ValueError(
            f"outcome {outcome!r} is {spec.phrase}; of an ordinal one take "
            "conformal_labels(levels, model.predict_target(mdata, proba=True))."
        )
    if outcome not in CALIBRATIONS:
        choices = ", ".join(dict.fromkeys((*CALIBRATIONS, *named)))
        raise ValueError(f"unknown outcome {outcome!r}; choose from {choices}.")
    return outcome, next((k for k, role in named.items() if role == outcome), None)


def _warn_of_fitted(model: Any, names: Sequence[str]) -> None:
    fitted = model._cohort
    again = set() if fitted is None else {*fitted.obs_names} & {*names}
    if again:
        warnings.warn(
            f"{len(again)} of {len(names)} calibration patients bear names of patients that the "
            "model was fitted on; if they are the same, the level does not hold.",
            stacklevel=3,
        )
