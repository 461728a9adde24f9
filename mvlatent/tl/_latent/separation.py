"""Whether shared is shared and private is private, with a known truth and without one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import align
from mvlatent.tl._latent.recovery import ProbeReading, read_targets
from mvlatent.tl._model import as_block, check_model, latent_blocks, true_blocks

if TYPE_CHECKING:
    from mvlatent.tl._latent.probes import Probe

__all__ = ["LeakageMatrix", "leakage_matrix"]


def owner(block: str) -> str:
    """The latent block that a true block belongs to: what some views share belongs to z."""
    return "shared" if block.partition(":")[0] == "shared" else block


@dataclass(frozen=True, eq=False)
class LeakageMatrix:
    """Result of :func:`leakage_matrix`; DataFrames are latent blocks × true blocks.

    Attributes
    ----------
    table
        R² of each true block read from each latent block.
    beyond
        The same off the diagonal for what the true block holds *beyond* the truth that belongs to
        the latent block, as a share of all its variance. 0 is right, even where true blocks are
        correlated; on the diagonal as in ``table``.
    expected
        Whether the true block belongs to the latent block.

    Examples
    --------
    >>> from mvlatent import tl
    >>> z, w = np.random.default_rng(0).standard_normal((2, 200, 2))
    >>> truth = {"shared": z, "private:rna": w}
    >>> tl.leakage_matrix(truth, truth).table.round(1).values.tolist()
    [[1.0, -0.0], [-0.0, 1.0]]
    """

    table: pd.DataFrame
    beyond: pd.DataFrame
    expected: pd.DataFrame

    @property
    def diagonal_mean(self) -> float:
        """Mean R² of the blocks that belong together; 1 is right."""
        return self._mean(self.table, self.expected)

    @property
    def leak_mean(self) -> float:
        """Mean leakage over the other cells, negative ones as 0; 0 is right."""
        return self._mean(self.beyond.clip(lower=0), ~self.expected)

    @property
    def leak_max(self) -> float:
        """Largest leakage (may be below 0); 0 is right."""
        return float(self.beyond.where(~self.expected).max().max())

    @property
    def worst(self) -> tuple[str, str]:
        """Latent block and true block of the largest leakage."""
        latent, true = self.beyond.where(~self.expected).stack().idxmax()
        return str(latent), str(true)

    def summary(self) -> pd.Series:
        """The three numbers: ``diagonal_mean``, ``leak_mean``, ``leak_max``."""
        names = ("diagonal_mean", "leak_mean", "leak_max")
        return pd.Series({name: getattr(self, name) for name in names})

    @staticmethod
    def _mean(table: pd.DataFrame, cells: pd.DataFrame) -> float:
        values = table.to_numpy()[cells.to_numpy()]
        return float(values.mean()) if values.size else float("nan")


def leakage_matrix(
    blocks: Any,
    truth: Any,
    *,
    mdata: Any = None,
    probe: "str | Probe" = "ridge",
    n_splits: int = 5,
    seed: int = 0,
) -> LeakageMatrix:
    """Read every true block from every latent block, out of fold.

    Leakage is what a latent block says of a true block that does not belong to it. Where true
    blocks are correlated (both lean on a subtype, say), reading one also reads some of the other
    and nothing has leaked. So the part of the true block that the latent block's own truth does
    not predict (out of fold, by the same probe) is what is read for ``beyond``.

    Parameters
    ----------
    blocks
        Name of a latent block (``"shared"``, ``"private:rna"``, ...) to n × d, or a fitted model.
        Rows with a NaN take no part in that block.
    truth
        Name of a true block to n × k, rows as in the blocks; or the truth of a simulated cohort
        (beside a model, its rows are found by the patients' names). ``"shared:rna+img"``, shared
        by some views only, belongs to ``"shared"``.
    mdata
        With a model: patients; the fitted ones by default.
    probe
        ``"ridge"`` or ``"kernel"``, as in :func:`block_recovery`.
    n_splits, seed
        Folds.

    Returns
    -------
    LeakageMatrix
        Tables, and the summary numbers ``diagonal_mean``, ``leak_mean`` and ``leak_max``.

    Raises
    ------
    ValueError
        If the numbers of rows differ or the probe is unknown.
    KeyError
        If the truth lacks a patient of the model.

    Notes
    -----
    Only the target is freed of the latent block's own truth, not the latents themselves: a leak
    too faint to be read beside what belongs there stays faint, and where true blocks are
    independent ``beyond`` is ``table``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z, w = rng.standard_normal((2, 300, 3))
    >>> truth = {"shared": z, "private:rna": w}
    >>> mixed = leakage_matrix({"shared": z, "private:rna": w + z}, truth)
    >>> mixed.worst
    ('private:rna', 'shared')
    >>> mixed.leak_max > 0.3
    True
    """
    if isinstance(blocks, Mapping):
        blocks, truth = _aligned_blocks(blocks, truth)
        known = true_blocks(truth)
    else:
        check_model(blocks)
        known = true_blocks(truth, blocks.cohort(mdata).obs_names)
        blocks = latent_blocks(blocks, mdata)
    options: dict[str, Any] = {"probe": probe, "n_splits": n_splits, "seed": seed}
    table, beyond = {}, {}
    residuals: dict[str, dict[str, np.ndarray]] = {}
    for name, latent in blocks.items():
        whose = owner(name)
        if whose not in residuals:
            residuals[whose] = _beyond_own(known, whose, options)
        alone = {f"beyond {key}": values for key, values in residuals[whose].items()}
        found = read_targets(latent, known | alone, **options)
        table[name] = {key: found[key].r2 for key in known}
        beyond[name] = {
            key: _share(found[f"beyond {key}"], known[key]) if key in residuals[whose] else r2
            for key, r2 in table[name].items()
        }
    frame = pd.DataFrame.from_dict(table, orient="index")
    expected = pd.DataFrame(
        [[owner(row) == owner(column) for column in frame.columns] for row in frame.index],
        frame.index,
        frame.columns,
    )
    return LeakageMatrix(frame, pd.DataFrame.from_dict(beyond, orient="index"), expected)


def _aligned_blocks(blocks: Mapping[str, Any], truth: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Latent and true blocks in one order of the patients."""
    names = getattr(truth, "obs_names", None)
    true = truth if isinstance(truth, Mapping) else truth.blocks
    if names is not None and any(isinstance(x, pd.DataFrame | pd.Series) for x in blocks.values()):
        true = {name: pd.DataFrame(as_block(x), index=names) for name, x in true.items()}
    pairs = [(f"latent block {name!r}", x) for name, x in blocks.items()]
    rows = align([*pairs, *((f"true block {name!r}", x) for name, x in true.items())])
    return (
        dict(zip(blocks, rows, strict=False)),
        dict(zip(true, rows[len(blocks) :], strict=True)),
    )


def _beyond_own(
    truth: Mapping[str, np.ndarray], whose: str, options: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Of the true blocks that are not ``whose``: what those that are do not predict."""
    own = [values for name, values in truth.items() if owner(name) == whose]
    others = {name: values for name, values in truth.items() if owner(name) != whose}
    if not own or not others:
        return {}
    out = {}
    for name, reading in read_targets(np.hstack(own), others, **options).items():
        out[name] = np.full(truth[name].shape, np.nan)
        # A probe that reads worse than the mean reads nothing: its noise is not subtracted.
        predicted = reading.predicted if reading.r2 > 0 else 0.0
        out[name][reading.rows] = reading.truth - predicted
    return out


def _share(reading: ProbeReading, whole: np.ndarray) -> float:
    """R² of the residual in units of the variance of the whole block, mean over columns."""
    if not reading.truth.size:
        return 0.0
    truth = whole[reading.rows]
    total = np.square(truth - truth.mean(0)).sum(0)
    left = np.square(reading.truth - reading.truth.mean(0)).sum(0)
    error = np.square(reading.truth - reading.predicted).sum(0)
    gained = np.divide(left - error, total, out=np.zeros_like(total), where=total > 0)
    return float(gained.mean())
