"""What a covariate is taken as: a number, classes, or classes in an order; and what it may not be.

Numbers stay numbers, however they are written. Classes become a column each (dummies); an ordered
category of pandas becomes one number, the place of its level, unless the order is taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mvlatent.data.advice import (
    classes_line,
    comma_line,
    number_line,
    order_line,
    unit_line,
    unordered_line,
)
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import (
    MOST_UNLIKE,
    are_numbers_in_words,
    as_text,
    is_numeric,
    ordered_levels,
    refuse_dates,
)
from mvlatent.data.taken import none_notes
from mvlatent.data.words import are_numbers, bound_of, has_comma, is_number, is_unassessed, unit_of
from mvlatent.specs import Roles

__all__ = ["check_classes", "check_covariate", "covariate_roles", "kind_notes", "kind_of", "places"]

FEW_NUMBERS = 5  # whole ones, written as text or as categories: these are classes
MANY, MANY_SHARE = 20, 0.25  # classes, and of the patients: hardly a class is learnt
FEW_SLIPS = 3  # words among numbers
MOSTLY = 0.5  # of the values numbers: the other words are slips, not classes
ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4}
STAGED = re.compile(
    r"(?:stage|grade)?[ _]*(?:(i{1,3}|iv)([abc]?)\d?|[gtnmr]?([0-5])([abc]?))", re.IGNORECASE
)


def covariate_roles(roles: Roles) -> list[tuple[str, str]]:
    """Return the covariates with what they are: batch, technical or clinical.

    Examples
    --------
    >>> covariate_roles(Roles(batch="site", clinical=("age",)))
    [('site', 'batch'), ('age', 'clinical')]
    """
    batch = [] if roles.batch is None else [(roles.batch, "batch")]
    technical = [(key, "technical") for key in roles.technical]
    return [*batch, *technical, *((key, "clinical") for key in roles.clinical)]


def kind_of(column: pd.Series, role: str) -> str:
    """Return what a covariate is taken as: ``"continuous"``, ``"categorical"`` or ``"ordered"``.

    Examples
    --------
    >>> kind_of(pd.Series(["61", "[Not Available]", "54.5", "70"]), "clinical")
    'continuous'
    >>> kind_of(pd.Series(pd.Categorical(["I", "II", "III"], ordered=True)), "clinical")
    'ordered'
    """
    found = {t for t in as_text(column) if t is not None}
    if role == "batch" or (role == "clinical" and len(found) == 2):
        return "categorical"
    if role == "clinical" and ordered_levels(column) is not None:
        return "ordered"
    if is_numeric(column):
        return "continuous"
    if are_numbers_in_words(column) and not _are_few(found):
        return "continuous"
    return "categorical"


def _are_few(found: set[str]) -> bool:
    """Whether numbers in words are so few, and whole, that they are classes."""
    return len(found) <= FEW_NUMBERS and all(word.isdigit() for word in found)


def places(text: np.ndarray, levels: tuple[str, ...]) -> np.ndarray:
    """Return the places of words (n,) among levels, from 0; NaN where missing or none of them."""
    place = {level: float(i) for i, level in enumerate(levels)}
    return np.array([place.get(t, np.nan) for t in text], dtype=np.float64)


def check_covariate(column: pd.Series, role: str, what: str) -> None:
    """Raise ValueError where a column cannot be a covariate of its role.

    Parameters
    ----------
    column
        Values.
    role
        ``"batch"``, ``"technical"`` or ``"clinical"``.
    what
        What to call it in a message.

    Raises
    ------
    ValueError
        If no row has a value; it holds dates (which may be a batch); a batch is a measurement; or
        numbers stand beside words that are none.

    Examples
    --------
    >>> check_covariate(pd.Series(["A", "B"], name="site"), "batch", "batch covariate 'site'")
    """
    if role != "batch":
        refuse_dates(column, what)
    words = [t for t in as_text(column) if t is not None]
    found = set(words)
    if not words:
        raise ValueError(f"{what} has no value in any row.")
    if role == "batch":
        return _check_batch(column, words, what)
    if kind_of(column, role) != "categorical":
        return None
    if sum(map(_is_measured, words)) >= MOSTLY * len(words):
        _refuse_slips(column, found, what)
    units = {unit_of(word) for word in found}
    if len(found) > FEW_NUMBERS and len(units) == 1 and None not in units:
        raise ValueError(
            f"{what} holds numbers with a unit, such as {min(found)!r}; leave the unit out: "
            f"{unit_line(column.name)}"
        )
    return None


def check_classes(counts: Sequence[int], what: str) -> None:
    """Raise ValueError where each patient has a class of its own.

    Examples
    --------
    >>> check_classes([1] * 20, "covariate 'id'")
    Traceback (most recent call last):
    ValueError: covariate 'id' has another value in each patient: it is a name, not a class.
    """
    if len(counts) > MOST_UNLIKE and max(counts) == 1:
        raise ValueError(f"{what} has another value in each patient: it is a name, not a class.")


def _is_measured(word: str) -> bool:
    return is_number(word) or bound_of(word) is not None or has_comma(word)


def _refuse_slips(column: pd.Series, found: set[str], what: str) -> None:
    """Raise where most values are numbers, and the others words."""
    strange = sorted(word for word in found if not _is_measured(word))
    commas = sorted(filter(has_comma, found))
    if len(found) - len(strange) <= FEW_NUMBERS or len(strange) > FEW_SLIPS:
        return  # codes, of which some look like numbers
    if not (strange or commas):
        return
    if commas:
        raise ValueError(
            f"{what} holds numbers with a comma, such as {commas[0]!r}; write a point, or leave it "
            f"out where it marks thousands: {comma_line(column.name)}"
        )
    raise ValueError(
        f"{what} holds numbers, and beside them {quote(strange)}; write those as numbers, or make "
        f"them missing: {number_line(column.name)}"
    )


def _check_batch(column: pd.Series, words: list[str], what: str) -> None:
    """Raise where a batch has a level a patient, or is measured."""
    found, numbers = set(words), is_numeric(column) or are_numbers(words)
    measured = numbers and any("." in word or "e-" in word for word in found)
    if len(found) <= MOST_UNLIKE:
        return
    if measured:
        raise ValueError(
            f"{what} holds {len(found)} different numbers, each of which would be a site; if they "
            f"are measured, name the column in technical=."
        )
    if len(found) > len(words) / 2:
        raise ValueError(
            f"{what} has {len(found)} levels in {len(words)} patients: it is a name, not a group; "
            f"leave it out, or name a number in technical=."
        )


def kind_notes(column: pd.Series, role: str, kind: str, what: str) -> list[str]:
    """Return notes on what a covariate was taken as, where something else may be meant.

    Examples
    --------
    >>> stages = pd.Series(["Stage IIA", "Stage I", "Stage IIIA"], name="stage")
    >>> kind_notes(stages, "clinical", "categorical", "stage")[0][:60]
    'stage: taken as 3 classes; for one number in their order: im'
    """
    found = {t for t in as_text(column) if t is not None}
    if kind == "ordered":
        line = unordered_line(column.name)
        return [f"{what}: ordered, taken as the place of its level; for a column a class: {line}"]
    if role == "batch":
        return []
    if kind == "continuous":
        return [] if is_numeric(column) else _written_notes(column, found, what)
    notes = none_notes(column, what)
    if len(found) > 2 and are_numbers_in_words(column):
        line = number_line(column.name)
        notes.append(f"{what}: numbers as text, taken as {len(found)} classes; as numbers: {line}")
    elif role == "clinical" and len(found) > max(MANY, MANY_SHARE * len(column)):
        notes.append(f"{what}: taken as {len(found)} classes of {len(column)} patients; pool some")
    elif role == "clinical" and (order := _staged(found)) is not None:
        line = order_line(column.name, order)
        notes.append(
            f"{what}: taken as {len(found)} classes; for one number in their order: {line}"
        )
    return notes


def _written_notes(column: pd.Series, found: set[str], what: str) -> list[str]:
    """Notes on numbers that were written as words."""
    notes = [f"{what}: written as text, taken as numbers; for classes: {classes_line(column.name)}"]
    if bounds := sorted(word for word in found if bound_of(word) is not None):
        notes.append(f"{what}: {quote(bounds)} taken as the bound that is written")
    return notes


def _staged(found: set[str]) -> list[str] | None:
    """Stages or grades from low to high, without those not assessed; ``None`` of other classes."""
    ranks: dict[str, tuple[int, str]] = {}
    for word in found:
        if is_unassessed(word):
            continue
        match = STAGED.fullmatch(word)
        if match is None:
            return None
        rank = ROMAN[match[1].lower()] if match[1] else int(match[3])
        ranks[word] = rank, (match[2] or match[4] or "").lower()
    return sorted(ranks, key=lambda word: ranks[word]) if len(ranks) > 2 else None
