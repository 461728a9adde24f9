"""The shape of a cohort, seen from its names: views that share patients, upright and alike named.

What is surely wrong is refused, what is likely to be is noted. Names that are only numbers say
nothing of what they name, so nothing is concluded from them but equality.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mvlatent.data.names import quote

__all__ = ["FEWEST", "Names", "barcode_notes", "check_known", "check_shape", "refuse_turned"]

BARCODE = re.compile(r"TCGA[-._]\w{2}[-._]\w{4}", re.IGNORECASE)
SEPARATORS = re.compile(r"[-._:|/ ]+")
MOST = 0.5  # of the names that agree, where it is no chance
FEWEST = 6
"""Patients who have a view that is modelled, and who have two views that tell of one another."""


@dataclass(frozen=True, eq=False)
class Names:
    """Names of the patients and the features of a view."""

    patients: pd.Index
    features: pd.Index


@dataclass(frozen=True)
class _Cut:
    """How names of two sorts agree: by their first fields or characters, and how many do."""

    example: str
    agree: int
    how: str


def check_shape(views: Mapping[str, Names], known: pd.Index) -> None:
    """Raise ValueError where views cannot be of one cohort.

    Parameters
    ----------
    views
        Names of each view that has patients.
    known
        Patients of whom a column of ``obs`` is known.

    Examples
    --------
    >>> one, two = (Names(pd.Index(n), pd.Index(["g"])) for n in (["P1", "P2"], ["P1-01", "P2-01"]))
    >>> check_shape({"rna": one, "cnv": two}, pd.Index([]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: views 'rna' and 'cnv' have no patient in common: ...
    """
    for name, names in views.items():
        if _barcodes(names.features) and not _barcodes(names.patients):
            raise ValueError(_on_its_side(name, names.features, "are barcodes of samples"))
    groups = _linked({name: set(names.patients) for name, names in views.items()})
    if len(groups) < 2:
        return
    rank = {tuple(g): _uprightness(g, views, known) for g in groups}
    main, *others = sorted(groups, key=lambda g: rank[tuple(g)], reverse=True)
    odd, sure = others[0][0], rank[tuple(main)] > rank[tuple(others[0])]
    _refuse_sideways(odd, main, views, sure=sure)
    raise ValueError(_apart(main[0], odd, views))


def check_known(views: Mapping[str, Names], known: pd.Index) -> None:
    """Raise ValueError where no patient of ``obs`` whose columns hold something has a view.

    Examples
    --------
    >>> names = Names(pd.Index(["P1", "P2"]), pd.Index(["g"]))
    >>> check_known({"rna": names}, pd.Index(["P1-01"]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: mdata.obs holds nothing of the patients of any view: ...
    """
    if any(not names.patients.intersection(known).empty for names in views.values()) or not views:
        return
    first = next(iter(views.values())).patients
    rows = quote(known, 3) if len(known) else "no row"
    raise ValueError(
        f"mdata.obs holds nothing of the patients of any view: its columns have values for {rows} "
        f"and the views have {quote(first, 3)}; name the patients alike before the MuData is made."
    )


def barcode_notes(views: Mapping[str, Names]) -> list[str]:
    """Say where patients of a view are in no other, but would be if names were cut alike."""
    held = {name: _words(names.patients) for name, names in views.items()}
    notes = []
    for name in list(held)[1:]:
        others = set().union(*(held[other] for other in held if other != name))
        alone = held[name] - others
        for other in held:
            if other == name:
                break
            rest = held[other] - held[name]
            found = _cut(sorted(rest), sorted(alone), other, name) if alone and rest else None
            if found is not None:
                notes.append(
                    f"{found.agree} patients of view {name!r} are in no other view but have names "
                    f"like patients of {other!r} ({quote(sorted(alone), 2)} beside "
                    f"{quote(sorted(rest), 2)}), as if a barcode were cut in one alone: {found.how}"
                )
                break
    return notes


def looks_turned(features: pd.Index, patients: pd.Index) -> bool:
    """Whether most names of features are those of patients."""
    words = _words(features)
    return len(words) > 1 and len(words & set(patients)) >= MOST * len(features)


def refuse_turned(name: str, features: Sequence[str], patients: pd.Index) -> None:
    """KeyError if a view of new patients has the features that are asked for as its rows."""
    if looks_turned(pd.Index(features, dtype=object), patients):
        raise KeyError(
            f"view {name!r} is on its side: the features the model was fitted on are its "
            f"patients; turn it with mdata[{name!r}].T."
        )


def _words(names: Iterable[object]) -> set[str]:
    return {str(n) for n in names if not str(n).isdigit()}


def _barcodes(names: pd.Index) -> bool:
    """Whether most names are barcodes of TCGA."""
    found = sum(BARCODE.match(str(n)) is not None for n in names[:1000])
    return found > 1 and found >= MOST * min(len(names), 1000)


def _linked(patients: Mapping[str, set[object]]) -> list[list[str]]:
    """Views in groups that share no patients with one another; few views' are left out later."""
    groups: list[tuple[list[str], set[object]]] = []
    for name, held in patients.items():
        joined: tuple[list[str], set[object]] = ([name], set(held))
        apart = []
        for names, seen in groups:
            if len(seen & held) < (FEWEST if min(len(seen), len(held)) >= FEWEST else 1):
                apart.append((names, seen))
            else:
                joined = (names + joined[0], seen | joined[1])
        groups = [*apart, joined]
    order = list(patients)
    return sorted((sorted(g, key=order.index) for g, _ in groups), key=lambda g: order.index(g[0]))


def _uprightness(
    group: list[str], views: Mapping[str, Names], known: pd.Index
) -> tuple[float, int, bool]:
    """What speaks for the rows of a group of views to be the patients."""
    rows = set().union(*(set(views[name].patients) for name in group))
    share = round(len(rows & set(known)) / max(len(rows), 1), 1)
    return share, len(group), any(_barcodes(views[name].patients) for name in group)


def _refuse_sideways(odd: str, main: list[str], views: Mapping[str, Names], *, sure: bool) -> None:
    """Raise where a view's rows are features of another, or its columns the other's patients."""
    for other in main:
        if looks_turned(views[odd].features, views[other].patients):
            turned, what = odd, f"are patients of view {other!r}"
            names = views[odd].features
        elif looks_turned(views[odd].patients, views[other].features):
            turned, what = odd, f"are patients' names, and features of view {other!r}"
            names = views[odd].patients
        elif looks_turned(views[other].features, views[odd].patients):
            turned, what = other, f"are patients of view {odd!r}"
            names = views[other].features
        else:
            continue
        unsure = "" if sure else f" (or view {other if turned == odd else odd!r} is)"
        raise ValueError(_on_its_side(turned, names, what + unsure))


def _on_its_side(name: str, names: pd.Index, what: str) -> str:
    shown = quote(sorted(_words(names)) or names, 3)
    return (
        f"view {name!r} is on its side, genes × samples where patients × features are asked for: "
        f"its names {shown} {what}; turn it with mdata[{name!r}].T and make the MuData anew."
    )


def _apart(one: str, two: str, views: Mapping[str, Names]) -> str:
    first, second = views[one].patients, views[two].patients
    shared = len(first.intersection(second))
    found = _cut(first.difference(second), second.difference(first), one, two)
    hint = (
        "name the patients alike in all views"
        if found is None
        else f"cut to {found.example!r} and its like, {found.agree} would agree: {found.how}, and "
        "make the MuData anew"
    )
    return (
        f"views {one!r} and {two!r} have {'no' if not shared else f'only {shared}'} "
        f"patient{'s' * (shared > 1)} in common{f', and need {FEWEST}' * (shared > 0)}: {one!r} "
        f"has {quote(first, 3)}, {two!r} has {quote(second, 3)}; {hint}."
    )


def _cut(first: Iterable[object], second: Iterable[object], one: str, two: str) -> _Cut | None:
    """The longest cut of the names by which most patients of the smaller view agree."""
    a, b = ([str(n) for n in names] for names in (first, second))
    for key in _keys(a, b):
        by_key = {key(n): n for n in reversed(a)}, {key(n): n for n in reversed(b)}
        common = [k for k in by_key[0] if k in by_key[1]]
        fewest = min(len(a), len(b))
        distinct = all(len(k) >= MOST * len(n) for k, n in zip(by_key, (a, b), strict=True))
        if not distinct or len(common) < max(2, MOST * min(map(len, by_key))) or fewest < 2:
            continue
        ones, twos = by_key[0][common[0]], by_key[1][common[0]]
        cut, name, whole = (twos, two, ones) if len(twos) >= len(ones) else (ones, one, twos)
        code = _code(cut, whole, common[0], common, name)
        return _Cut(_example(cut, common[0]), len(common), code)
    return None


class _Fields:
    """Key of a name: its first fields, whatever separates them and in whatever case."""

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, name: str) -> str:
        return "-".join(SEPARATORS.split(name.casefold())[: self.k])


class _Characters:
    """Key of a name: its first characters."""

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, name: str) -> str:
        return name[: self.k].casefold()


def _keys(a: list[str], b: list[str]) -> Iterator[_Fields | _Characters]:
    most = max(len(SEPARATORS.split(name)) for name in (*a, *b))
    yield from map(_Fields, range(min(most, 8), 0, -1))
    lengths = {len(name) for name in a}, {len(name) for name in b}
    if any(len(length) == 1 for length in lengths):
        yield _Characters(min(min(length) for length in lengths if len(length) == 1))


def _example(name: str, key: str) -> str:
    return name[: len(key)]


def _code(cut: str, whole: str, key: str, common: list[str], view: str) -> str:
    """A line that makes the names of a view those of the other."""
    names = f"mdata[{view!r}].obs_names"
    said = []
    if cut[: len(key)] != whole[: len(key)]:
        ours, theirs = SEPARATORS.findall(cut), SEPARATORS.findall(whole)
        if ours and theirs and ours[0] != theirs[0]:
            said.append(f".str.replace({ours[0]!r}, {theirs[0]!r})")
        if cut[: len(key)].upper() == cut[: len(key)] != whole[: len(key)]:
            said.append(".str.lower()" if whole.islower() else "")
        elif whole[: len(key)].isupper() and not cut[: len(key)].isupper():
            said.append(".str.upper()")
    if len(cut) > len(key):
        if len({len(k) for k in common}) == 1:
            said.append(f".str[:{len(key)}]")
        else:
            separator = cut[len(key)]
            said.append(f".str.split({separator!r}).str[:{key.count('-') + 1}]")
            said.append(f".str.join({separator!r})")
    return f"{names} = {names}{''.join(said)}"
