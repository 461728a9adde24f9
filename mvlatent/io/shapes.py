"""What JSON may stand for a dataclass: its keys, kinds and sizes, told by its annotations."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from mvlatent.data.covariates import Encoder
from mvlatent.io.digests import SPEC, Damaged, shown
from mvlatent.specs import View
from mvlatent.vae.design import Design
from mvlatent.vae.parts import part_class

__all__ = [
    "check_design",
    "check_fields",
    "check_heads",
    "check_preparation",
    "check_same",
    "check_square",
]

LEAST = 2**14  # a size of this many is never refused: some are set and not used

KINDS_IN_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


OBJECTS = dict[str, dict[str, Any]]
PREPARATION = {
    "roles": dict[str, Any],
    "views": OBJECTS,
    "technical": list[dict[str, Any]],
    "clinical": list[dict[str, Any]],
    "notes": list[str],
    "outcomes": OBJECTS,
}
ROLES_KEYS = {
    "views": OBJECTS,
    "batch": str | None,
    "technical": list[str],
    "clinical": list[str],
    "outcomes": list[dict[str, Any]],
}
PREPARED = {"features": list[str], "dropped": dict[str, str], "scaler": str, "offset": bool}
REPORTED = {
    "name": str,
    "horizon": float,
    "inner_scores": dict[str, float],
    "off": float,
    "slopes": dict[str, float],
    "full": dict[str, Any],
    "shared_only": dict[str, Any],
}
HEAD_STATE = {
    "tau": dict[str, float],
    "sizes": list[int],
    "log_marginal": float,
    "converged": bool,
    "path": list[float],
    "baseline": str,
    "posterior": str | None,
}


def check_fields(kind: type, said: Any, where: str) -> None:
    """Raise `Damaged` unless an object has the fields of a dataclass, each of its kind."""
    if not isinstance(said, dict):
        raise Damaged(SPEC, f"'{where}' is {shown(said)}, not an object")
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind) if f.init}
    for key in said:
        if key not in known:
            raise Damaged(SPEC, f"'{where}.{key}' is not known")
    for key, field in known.items():
        if key in said:
            _check(hints[key], said[key], f"{where}.{key}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Damaged(SPEC, f"'{where}.{key}' is missing")


def check_design(said: Any, values: int) -> None:
    """Raise `Damaged` where a design has sizes that so many values of weights cannot have."""
    if isinstance(said, dict) and isinstance(said.get("views"), list):
        for i, view in enumerate(said["views"]):
            if not isinstance(view, dict) or not isinstance(view.get("kind"), str):
                raise Damaged(SPEC, f"'design.views.{i}' is {shown(view)}, without a 'kind'")
            own = {k: v for k, v in view.items() if k != "kind"}
            check_fields(part_class(view["kind"]).design_class, own, f"design.views.{i}")
        check_fields(Design, {**said, "views": []}, "design")
    else:
        check_fields(Design, said, "design")
    _check_sizes(said, "design", max(values, LEAST))


def check_preparation(said: Any) -> None:
    """Raise `Damaged` unless views, covariates and roles are of their kinds and agree."""
    _check_known(said, PREPARATION, "preparation")
    roles, views = said["roles"], said["views"]
    _check_known(roles, ROLES_KEYS, "preparation.roles")
    if sorted(roles["views"]) != sorted(views):
        raise Damaged(SPEC, "'preparation.roles.views' and 'preparation.views' differ")
    for name, view in views.items():
        _check_known(view, PREPARED, f"preparation.views.{name}")
        check_fields(View, roles["views"][name], f"preparation.roles.views.{name}")
        if len(set(view["features"])) < len(view["features"]):
            raise Damaged(SPEC, f"'preparation.views.{name}.features' holds a name twice")
    batch = [] if roles["batch"] is None else [roles["batch"]]
    for part, columns in (("technical", [*batch, *roles["technical"]]), ("clinical", None)):
        for i, encoder in enumerate(said[part]):
            check_fields(Encoder, encoder, f"preparation.{part}.{i}")
            if encoder["name"] not in (columns or roles[part]):
                raise Damaged(SPEC, f"'preparation.{part}.{i}.name' has no such role")


def check_heads(said: Any) -> None:
    """Raise `Damaged` unless the heads' words and numbers are of their kinds."""
    _check(dict[str, dict[str, Any]], said, "heads")
    for name, head in said.items():
        where = f"heads.{name}"
        _check_known(head, REPORTED, where)
        if head["name"] != name or set(head["slopes"]) != {"full", "shared"}:
            raise Damaged(SPEC, f"'{where}' has another 'name', or lacks one of 'slopes'")
        for side in ("full", "shared_only"):
            parts = head[side].get("causes", [head[side]])
            _check(list[dict[str, Any]], parts, f"{where}.{side}.causes")
            for part in parts:
                _check_known(part, HEAD_STATE, f"{where}.{side}")
                if len(part["tau"]) != len(part["sizes"]):
                    raise Damaged(SPEC, f"'{where}.{side}.tau' and its 'sizes' differ in length")


def _check_known(said: Any, hints: Mapping[str, Any], where: str) -> None:
    """The keys that are known; others are found when the model says the same of itself."""
    _check(dict[str, Any], said, where)
    for key, hint in hints.items():
        if key not in said:
            raise Damaged(SPEC, f"'{where}.{key}' is missing")
        _check(hint, said[key], f"{where}.{key}")


def check_square(n_shared: int, values: int) -> None:
    """Raise `Damaged` if there are fewer weights than a matrix among shared factors has."""
    if n_shared**2 > values:
        raise Damaged(SPEC, f"'design.n_shared' is {n_shared}, more than the weights can hold")


def check_same(said: Any, found: Any, file: str, where: str = "") -> None:
    """Raise `Damaged` where a model says something else of itself than what it was built from."""
    if isinstance(said, Mapping) and isinstance(found, Mapping):
        for key in [*said, *found]:
            if key not in said or key not in found:
                what = "missing" if key not in said else "not known"
                raise Damaged(file, f"'{where}{key}' is {what}")
            check_same(said[key], found[key], file, f"{where}{key}.")
    elif _is_list(said) and _is_list(found) and len(said) == len(found):
        for i, (one, other) in enumerate(zip(said, found, strict=True)):
            check_same(one, other, file, f"{where}{i}.")
    elif not _alike(said, found):
        raise Damaged(file, f"'{where[:-1]}' is {shown(said)} where it would be {shown(found)}")


def _check(hint: Any, value: Any, where: str) -> None:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        wrong = None
        for choice in inner:
            try:
                return _check(choice, value, where)
            except Damaged as damage:
                wrong = damage if choice is not type(None) else wrong
        raise wrong or Damaged(SPEC, f"'{where}' is {shown(value)}")
    if hint is type(None):
        if value is not None:
            raise Damaged(SPEC, f"'{where}' is {shown(value)}, not null")
    elif hint in KINDS_IN_WORDS:
        known = (int, float) if hint is float else (hint,)
        if type(value) not in known:
            raise Damaged(SPEC, f"'{where}' is {shown(value)}, not {KINDS_IN_WORDS[hint]}")
    elif origin in (list, tuple):
        if not isinstance(value, list):
            raise Damaged(SPEC, f"'{where}' is {shown(value)}, not a list")
        for i, (item, kind) in enumerate(zip(value, _kinds(origin, inner, value), strict=False)):
            _check(kind, item, f"{where}.{i}")
    elif origin is dict:
        if not isinstance(value, dict):
            raise Damaged(SPEC, f"'{where}' is {shown(value)}, not an object")
        for key, item in value.items():
            _check(inner[1], item, f"{where}.{key}")
    elif is_dataclass(hint) and isinstance(hint, type) and not _has_name(value):
        check_fields(hint, value, where)


def _kinds(origin: Any, inner: tuple[Any, ...], value: Sequence[Any]) -> Sequence[Any]:
    """Kind of each item; a tuple of one kind is as long as it is."""
    return [inner[0]] * len(value) if origin is list or inner[-1:] == (...,) else inner


def _has_name(value: Any) -> bool:
    """Whether an object says itself what it is, and is checked by its family (a term)."""
    return isinstance(value, dict) and "name" in value


def _check_sizes(said: Any, where: str, most: int) -> None:
    items: Any = said.items() if isinstance(said, dict) else enumerate(said)
    for key, value in items:
        if isinstance(value, dict | list):
            _check_sizes(value, f"{where}.{key}", most)
        elif type(value) is int and not 0 <= value <= most:
            raise Damaged(
                SPEC, f"'{where}.{key}' is {shown(value)}, more than the weights can hold"
            )


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _alike(said: Any, found: Any) -> bool:
    numbers = [type(v) in (int, float) for v in (said, found)]
    if all(numbers):
        return bool(said == found or (said != said and found != found))
    return type(said) is type(found) and bool(said == found)
