"""Folds on several processes or threads: what they are handed, and what is asked before they begin.

Every fold is fitted to a `PlainCohort`, by one process as by many, so the number of jobs changes no
result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mvlatent.process import quiet
from mvlatent.specs import Roles
from mvlatent.specs.typed import as_outcomes
from mvlatent.study._patients import PlainCohort

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["Folded", "typed_roles"]


def typed_roles(options: dict[str, Any]) -> Roles:
    """Roles of options as `mvlatent.fit` takes them."""
    survival, labels, targets = map(options.get, ("survival", "labels", "targets"))
    outcomes = as_outcomes(survival, labels, targets, options.get("outcomes") or ())
    return Roles(
        options.get("views"),  # type: ignore[arg-type]
        batch=options.get("batch"),
        technical=options.get("technical") or (),
        clinical=options.get("clinical") or (),
        outcome_specs=tuple(outcomes),
    )


@dataclass(frozen=True, eq=False)
class Folded:
    """A cohort in folds, to be fitted without each of them in turn.

    Attributes
    ----------
    patients
        The cohort, as any process can be handed it.
    fold
        Fold of each patient, -1 for none.
    names
        What the folds are called.
    options
        Options of `mvlatent.fit`.
    """

    patients: PlainCohort
    fold: np.ndarray
    names: Sequence[str]
    options: dict[str, Any]

    def training(self, k: int) -> MuData:
        """The patients to train on where fold ``k`` is held out; those of no fold are in neither.

        They are a copy.
        """
        return self.patients.mudata((self.fold >= 0) & (self.fold != k))

    def held_out(self, k: int) -> MuData:
        """The patients of a fold, a copy."""
        return self.patients.mudata(self.fold == k)

    def check(self, held_out: Sequence[int]) -> None:
        """Refuse before the first fit what any of the fits would refuse.

        Raises
        ------
        TypeError, KeyError, ValueError
            As `mvlatent.fit`, of all patients; or of those outside a fold, which is named.
        """
        with quiet():
            _check(self.patients.mudata(self.fold >= 0), self.options)
            for k in held_out:
                try:
                    _check(self.training(k), self.options)
                except (KeyError, ValueError) as error:
                    kind = KeyError if isinstance(error, KeyError) else ValueError
                    said = f"fold {self.names[k]}: the patients outside it cannot be fitted to"
                    said += f": {error.args[0]}"
                    raise kind(said) from None

    def run(self, one: Callable[..., Any], held_out: Sequence[int], n_jobs: int, *more: Any) -> Any:
        """Call ``one(self, k, *more)`` for each fold, so many at a time; a list, in their order.

        Raises
        ------
        ChildProcessError
            If a process ended before its fold did.
        """
        from joblib import Parallel, delayed, effective_n_jobs
        from joblib.externals.loky.process_executor import BrokenProcessPool

        shared = effective_n_jobs(n_jobs) > 1
        jobs = [delayed(_on_its_own)(shared, one, self, k, *more) for k in held_out]
        try:
            return Parallel(n_jobs=int(n_jobs))(jobs)
        except BrokenProcessPool:
            raise ChildProcessError(
                "a process that fitted a fold was ended from outside, most often for want of "
                "memory; take fewer folds at a time (n_jobs=1, or --jobs 1)."
            ) from None


def _on_its_own(shared: bool, one: Callable[..., Any], *arguments: Any) -> Any:
    """One fold; on one thread of torch and BLAS where others run beside it."""
    from mvlatent.fitting.threads import small_work_on_one_thread

    if not shared:
        return one(*arguments)
    with small_work_on_one_thread(0):
        return one(*arguments)


def _check(mdata: MuData, options: dict[str, Any]) -> None:
    """Raise where a fit would before it computes anything."""
    from mvlatent._fit import set_up
    from mvlatent.fitting.train import prepare
    from mvlatent.methods.setup import checked_plan

    typed = {k: v for k, v in options.items() if k not in ("survival", "labels", "targets")}
    outcomes = list(typed_roles(options).outcome_specs)
    model, loop = set_up(mdata, **{**typed, "outcomes": outcomes})
    size = float(loop.get("validation_size", 0.0))
    prepare(model.tables(), model.roles, model.options, checked_plan(**loop), size)
