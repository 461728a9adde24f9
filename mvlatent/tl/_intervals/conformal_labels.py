"""Sets of classes that hold the true one as often as they say."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned
from mvlatent.tl._intervals.mondrian import Mondrian
from mvlatent.tl._outcomes.labels import checked_labels, checked_probabilities

__all__ = ["ConformalLabels", "conformal_labels"]

SCORES = ("aps", "lac")


@dataclass(frozen=True, eq=False)
class ConformalLabels:
    """Result of :func:`conformal_labels`.

    Attributes
    ----------
    level
        Probability with which a set holds the true class.
    score
        ``"aps"`` or ``"lac"``.
    classes
        Columns of the probabilities that were calibrated on.
    threshold
        Largest score of a class in a set, on all patients and by group; ∞: all classes.

    Examples
    --------
    >>> from mvlatent import tl
    >>> p = pd.DataFrame({"a": np.linspace(0.5, 0.9, 40), "b": np.linspace(0.5, 0.1, 40)})
    >>> found = tl.conformal_labels(["a"] * 40, p, level=0.8, score="lac")
    >>> found.level, round(found.threshold.pooled, 2)
    (0.8, 0.43)
    """

    level: float
    score: str
    classes: tuple[Any, ...]
    threshold: Mondrian[float]

    def sets(
        self, probabilities: pd.DataFrame, *, group: Any = None, seed: int = 0
    ) -> pd.DataFrame:
        """Set of classes of each new patient.

        Parameters
        ----------
        probabilities
            Of the model that was calibrated, patients × classes.
        group
            Group of each patient, where the calibration was by group. A group without
            calibration patients gets the pooled correction, with a warning.
        seed
            Seed of the randomised scores (``"aps"``).

        Returns
        -------
        DataFrame
            True where a class is in the set, patients × classes. The most probable class always
            is: no set is empty.

        Raises
        ------
        ValueError
            If the classes differ, rows are no probabilities, or groups are missing or not
            expected.
        """
        if tuple(probabilities.columns) != self.classes:
            raise ValueError(
                f"classes differ: calibrated on {[*self.classes]}, got "
                f"{[*probabilities.columns]}; give the same ones in the same order."
            )
        probabilities, group = aligned(probabilities=probabilities, group=group)
        p = checked_probabilities(probabilities)
        scores = _scores(p, self.score, np.random.default_rng([seed, 1]).random(len(p)))
        inside = np.zeros(p.shape, bool)
        for rows, threshold in self.threshold.split(len(p), group):
            inside[rows] = scores[rows] <= threshold
        inside[np.arange(len(p)), p.argmax(axis=1)] = True
        return pd.DataFrame(inside, index=probabilities.index, columns=probabilities.columns)


def conformal_labels(
    labels: Any,
    probabilities: pd.DataFrame,
    *,
    level: float = 0.9,
    score: str = "aps",
    group: Any = None,
    seed: int = 0,
) -> ConformalLabels:
    """Calibrate sets of classes so that they hold the true class with at least the level.

    Split conformal prediction: a class is in the set if its score is at most the ⌈level (n + 1)⌉th
    smallest score of the true classes of n calibration patients. Bad probabilities give large
    sets; the level holds all the same.

    Parameters
    ----------
    labels
        True class of each calibration patient, who played no part in fitting; patients without
        one are left out.
    probabilities
        Predicted probabilities, patients × classes; columns = classes.
    level
        Probability that a set holds the true class.
    score
        ``"aps"``: the probability of all classes more probable than this one, and a random share
        of its own; sets grow where patients are hard, so that the level holds more evenly over
        them. ``"lac"``: 1 − the probability of the class; the smallest sets on average.
    group
        Site (or another group) of each patient: calibrated within each, so that the level holds
        within each ("Mondrian"). A group with fewer than about level / (1 − level) patients gets
        all classes. Patients without a group count only for groups that are not here.
    seed
        Seed of the randomised scores (``"aps"``).

    Returns
    -------
    ConformalLabels
        Its ``sets(probabilities)`` are those of new patients.

    Raises
    ------
    ValueError
        If lengths differ, rows are no probabilities, a label is no class, no label is known, or an
        option is unknown.

    Notes
    -----
    The level is exact at any n for new patients who are exchangeable with the calibration patients
    (within a group). That fails for another hospital, another mix of classes, another assay, for
    patients whose label is missing for a reason, and for patients that the model or its settings
    were chosen on. It is an average over patients, not for each patient or class.

    References
    ----------
    Romano, Sesia and Candès, NeurIPS 2020 (aps). Sadinle, Lei and Wasserman, Journal of the
    American Statistical Association 2019 (lac). Vovk, Gammerman and Shafer 2005 (by group).

    Examples
    --------
    >>> p = pd.DataFrame({"a": np.linspace(0.5, 0.9, 40), "b": np.linspace(0.5, 0.1, 40)})
    >>> found = conformal_labels(["a"] * 36 + ["b"] * 4, p, score="lac")
    >>> found.sets(pd.DataFrame({"a": [0.7], "b": [0.3]})).to_numpy().tolist()
    [[True, True]]
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie within (0, 1), got {level}.")
    if score not in SCORES:
        raise ValueError(f"unknown score {score!r}; choose from {', '.join(SCORES)}.")
    labels, probabilities, group = aligned(labels=labels, probabilities=probabilities, group=group)
    codes, p, known = checked_labels(labels, probabilities)
    shares = np.random.default_rng(seed).random(len(p))
    own = _scores(p, score, shares)[np.arange(len(p)), codes]

    def calibrate(rows: np.ndarray) -> float:
        rank = int(np.ceil(level * (len(rows) + 1) - 1e-9))
        return float(np.sort(own[rows])[rank - 1]) if rank <= len(rows) else float("inf")

    held = None if group is None else np.asarray(group, dtype=object)
    if held is not None and len(held) != len(known):
        raise ValueError(f"group must have one value a patient ({len(known)}), got {len(held)}.")
    thresholds = Mondrian(calibrate, len(p), None if held is None else held[known])
    return ConformalLabels(level, score, tuple(probabilities.columns), thresholds)


def _scores(p: np.ndarray, score: str, shares: np.ndarray) -> np.ndarray:
    """Nonconformity of each class, patients × classes."""
    if score == "lac":
        return 1 - p
    order = np.argsort(-p, axis=1, kind="stable")
    falling = np.take_along_axis(p, order, axis=1)
    reached = falling.cumsum(axis=1) - (1 - shares[:, None]) * falling
    out = np.empty_like(p)
    np.put_along_axis(out, order, reached, axis=1)
    return out
