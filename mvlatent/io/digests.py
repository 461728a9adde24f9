"""What a spec may hold: strict JSON whose parts are as they were saved."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["SPEC", "WEIGHTS", "Damaged", "check_digests", "digests_of", "shown", "strict_json"]

SPEC, WEIGHTS = "spec.json", "weights.safetensors"
HEAD = ("format", "version", "weights", "digests")
SHA256 = re.compile(r"[0-9a-f]{64}")


class Damaged(Exception):
    """A file of a model's folder, or both, cannot be what was saved.

    Parameters
    ----------
    files
        Name of the file, or names joined by a blank.
    why
        What is wrong, with the key.
    """

    def __init__(self, files: str, why: str) -> None:
        super().__init__(why)
        self.files, self.why = files.split(), why


def strict_json(text: bytes) -> Any:
    """JSON, or `Damaged` for whatever is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise Damaged(SPEC, "it is nested too deeply") from None
    except ValueError as error:
        raise Damaged(SPEC, f"it is not JSON ({error})") from None


def digests_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A short sha256 of each section, or of each entry of a section that has some.

    Examples
    --------
    >>> digests_of({"rotated": []}) == digests_of({"rotated": ["rna"]})
    False
    """
    return {
        key: {k: _digest(v) for k, v in part.items()} if isinstance(part, dict) else _digest(part)
        for key, part in spec.items()
    }


def check_digests(spec: Mapping[str, Any]) -> None:
    """Raise `Damaged` if a part of a spec is missing, unknown or not as it was saved."""
    for key in HEAD:
        if key not in spec:
            raise Damaged(SPEC, f"{key!r} is missing")
    _check_weights(spec["weights"])
    known, own = spec["digests"], {k: v for k, v in spec.items() if k not in HEAD}
    if not isinstance(known, dict):
        raise Damaged(SPEC, f"'digests' is {shown(known)}, not an object")
    _compare(known, digests_of(own), "")


def _check_weights(said: Any) -> None:
    kinds = {"bytes": int, "sha256": str, "not_finite": list}
    if not isinstance(said, dict) or set(said) != set(kinds):
        raise Damaged(SPEC, f"'weights' does not hold {', '.join(kinds)}")
    for key, kind in kinds.items():
        if type(said[key]) is not kind:
            raise Damaged(SPEC, f"'weights.{key}' is {shown(said[key])}")
    if not SHA256.fullmatch(said["sha256"]):
        raise Damaged(SPEC, f"'weights.sha256' is {shown(said['sha256'])}")


def _compare(known: Mapping[str, Any], found: Mapping[str, Any], where: str) -> None:
    for key in known:
        if key not in found:
            raise Damaged(SPEC, f"'{where}{key}' is missing")
    for key in found:
        if key not in known:
            raise Damaged(SPEC, f"'{where}{key}' is not known")
    if list(known) != list(found):
        raise Damaged(SPEC, f"keys of {where.rstrip('.') or 'it'} are in another order")
    for key, digest in found.items():
        if isinstance(digest, dict) and isinstance(known[key], dict):
            _compare(known[key], digest, f"{where}{key}.")
        elif digest != known[key]:
            raise Damaged(SPEC, f"'{where}{key}' is not as it was saved")


def _digest(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, separators=(",", ":")).encode()).hexdigest()[:16]


def shown(value: Any) -> str:
    """What a value is, in few words."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
