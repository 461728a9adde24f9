"""Rows of a long benchmark, kept as they come, so that a run that stops goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["Rows"]


class Rows:
    """JSON lines in ``folder/rows.jsonl``, each with a key; no row is made twice."""

    def __init__(self, folder: Path, key: list[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.key = folder / "rows.jsonl", key

    def read(self) -> pd.DataFrame:
        """All rows so far."""
        if not self.path.exists():
            return pd.DataFrame(columns=self.key)
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return pd.DataFrame([json.loads(line) for line in lines])

    def add(
        self, key: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]
    ) -> dict[str, Any] | None:
        """Make a row and keep it; None if one of that key is there."""
        there = self.read()
        if len(there) and (there[self.key] == pd.Series(key)[self.key]).all(axis=1).any():
            return None
        row = {**key, **make()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return row
