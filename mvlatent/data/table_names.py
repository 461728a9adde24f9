"""Which side of a table the patients are on, and what their names have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from mvlatent.data.names import quote

__all__ = ["averaged", "is_barcode", "plain_barcodes", "upright"]

BARCODE = re.compile(r"^TCGA[-.][A-Z0-9]{2}[-.][A-Z0-9]{4}(?:[-.]|$)", re.IGNORECASE)
PATIENT, SAMPLE = 12, 15  # characters of a barcode that name a patient, and a sample's type
NORMAL = 10  # types of samples from here on are of healthy tissue


def is_barcode(name: str) -> bool:
    """Whether a name is a barcode of TCGA, of whatever length.

    Examples
    --------
    >>> is_barcode("TCGA-05-4244-01A-01R"), is_barcode("P1")
    (True, False)
    """
    return BARCODE.match(name) is not None


def upright(
    frames: Mapping[str, pd.DataFrame], patients: Iterable[str] | None, notes: list[str]
) -> dict[str, pd.DataFrame]:
    """Tables with patients as rows: those that have them as columns are turned, and noted.

    Parameters
    ----------
    frames
        Tables by view.
    patients
        Names of the patients, where a clinical table says them.
    notes
        What was done is added here.

    Raises
    ------
    ValueError
        If a table has no patient in common with the others, on either side.
    """
    sides = {name: (_keys(f.index), _keys(f.columns)) for name, f in frames.items()}
    known = None if patients is None else _keys(patients)
    known = _agreed(sides) if known is None else known
    out = {}
    for name, frame in frames.items():
        rows, columns = (len(side & known) for side in sides[name])
        if columns > rows:
            notes.append(
                f"{name}: turned, {frame.shape[1]} columns are patients and {frame.shape[0]} rows "
                "are features"
            )
            frame = _patients_alone(name, frame.T, notes)
        elif rows == 0 and known and (len(frames) > 1 or patients is not None):
            raise ValueError(
                f"table {name!r} has no patient in common with the others: its rows are "
                f"{quote(frame.index, 3)}, its columns {quote(frame.columns, 3)}, the patients "
                f"{quote(sorted(known), 3)}; give all tables the same names."
            )
        out[name] = frame
    return out


def _patients_alone(name: str, frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """A turned table without columns that stood beside the patients, such as identifiers."""
    coded = [is_barcode(x) for x in frame.index]
    strange = [x for x, is_one in zip(frame.index, coded, strict=True) if not is_one]
    if not strange or sum(coded) < len(strange):
        return frame
    notes.append(f"{name}: columns left out that are no patients: {quote(strange)}")
    return frame[coded]


def _keys(names: Iterable[str]) -> set[str]:
    return {_patient(name) for name in names}


def _patient(name: str) -> str:
    """A name as other tables may write it: a barcode cut to its patient, dots as dashes."""
    return name.replace(".", "-")[:PATIENT].upper() if is_barcode(name) else name


def _agreed(sides: Mapping[str, tuple[set[str], set[str]]]) -> set[str]:
    """Names that stand in most tables, on one side or the other: the patients, most likely."""
    barcodes = {x for pair in sides.values() for side in pair for x in side if is_barcode(x)}
    if barcodes:
        return barcodes
    if len(sides) < 2:
        return next(iter(sides.values()))[0]
    count: dict[str, int] = {}
    for rows, columns in sides.values():
        for name in rows | columns:
            count[name] = count.get(name, 0) + 1
    return {name for name, n in count.items() if n > 1}


def plain_barcodes(frames: Mapping[str, pd.DataFrame], notes: list[str]) -> dict[str, pd.DataFrame]:
    """Tables whose TCGA barcodes are cut to the patient where their lengths differ.

    Samples of healthy tissue are left out where the patient has others; that and the cut are noted.
    """
    names = [x for f in frames.values() for x in f.index]
    coded = [x for x in names if is_barcode(x)]
    if len(coded) < 0.5 * len(names) or not coded:
        return dict(frames)
    lengths = sorted({len(x) for x in coded})
    dotted = any("." in x for x in coded)
    if len(lengths) == 1 and not dotted:
        return dict(frames)
    out = {}
    for name, frame in frames.items():
        kept = frame
        healthy = [_type(x) >= NORMAL for x in frame.index]
        if any(healthy):
            kept = frame[[not h for h in healthy]]
            notes.append(f"{name}: {sum(healthy)} samples of healthy tissue left out")
        kept = kept.copy()
        kept.index = pd.Index([_patient(x) for x in kept.index])
        out[name] = kept
    notes.append(
        f"barcodes of {' and '.join(map(str, lengths))} characters cut to the patient, "
        f"{PATIENT} characters"
    )
    return out


def _type(name: str) -> int:
    """Type of a sample as its barcode says it; 0 where it does not."""
    digits = name[PATIENT + 1 : SAMPLE] if is_barcode(name) else ""
    return int(digits) if digits.isdigit() else 0


def averaged(name: str, frame: pd.DataFrame, duplicates: str, notes: list[str]) -> pd.DataFrame:
    """A table of numbers in which a patient and a feature stand once: means of those that repeat.

    Raises
    ------
    ValueError
        If there are repeats and ``duplicates`` is ``"refuse"``.
    """
    for axis, what in ((0, "patients"), (1, "features")):
        labels = frame.index if axis == 0 else frame.columns
        if labels.is_unique:
            continue
        twice = labels[labels.duplicated()].unique()
        if duplicates == "refuse":
            raise ValueError(
                f"{what} of table {name!r} occur more than once: {quote(twice)}; make them unique, "
                "or pass duplicates='average'."
            )
        said = f"{len(twice)} {what} that occur more than once averaged"
        notes.append(f"{name}: {said}: {quote(twice)}")
        grouped = frame if axis == 0 else frame.T
        grouped = grouped.groupby(level=0, sort=False).mean()
        frame = grouped if axis == 0 else grouped.T
    return frame
