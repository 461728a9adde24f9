"""How much of known factors can be read from latents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import align
from mvlatent.tl._latent.probes import make_folds, make_probe, r_squared
from mvlatent.tl._model import as_block

if TYPE_CHECKING:
    from mvlatent.tl._latent.probes import Probe

__all__ = ["ProbeReading", "block_recovery", "disentanglement", "leakage", "read_targets"]


@dataclass(frozen=True, eq=False)
class ProbeReading:
    """A target block read from latents: the rows known on both sides, truth and prediction."""

    rows: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray

    @property
    def r2(self) -> float:
        """R², mean over columns; 0 for a block without a column."""
        return float(r_squared(self.truth, self.predicted).mean()) if self.truth.size else 0.0


def read_targets(
    latent: Any,
    targets: Mapping[str, Any],
    *,
    probe: "str | Probe" = "ridge",
    n_splits: int = 5,
    seed: int = 0,
) -> dict[str, ProbeReading]:
    """Predict several target blocks from one latent block, out of fold.

    Parameters
    ----------
    latent
        n × d; a row with a NaN takes no part (a patient without the view of a private block).
    targets
        Name to n × k (or n); rows with a NaN take no part.
    probe, n_splits, seed
        As in :func:`block_recovery`.

    Raises
    ------
    ValueError
        If the numbers of rows differ, the probe is unknown or too few rows are known.

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((100, 2))
    >>> read_targets(z, {"sum": z.sum(1)})["sum"].r2 > 0.99
    True
    """
    reader = make_probe(probe)
    latent, *values = align([("latent", latent), *targets.items()])
    x = np.asarray(latent, float)
    blocks = {name: as_block(block) for name, block in zip(targets, values, strict=True)}
    for name, y in blocks.items():
        if x.ndim != 2 or len(x) != len(y):
            raise ValueError(
                f"rows differ: latent {x.shape}, {name} {y.shape}; give the same patients."
            )
    # Blocks known for the same rows are read together: the latents are decomposed once.
    alike: dict[bytes, list[str]] = {}
    for name, y in blocks.items():
        rows = ~(np.isnan(x).any(1) | np.isnan(y).any(1))
        alike.setdefault(rows.tobytes(), []).append(name)
    found: dict[str, ProbeReading] = {}
    for key, names in alike.items():
        rows = np.frombuffer(key, bool)
        found |= _read_alike(
            x[rows], {n: blocks[n][rows] for n in names}, rows, reader, n_splits, seed
        )
    return {name: found[name] for name in blocks}


def _read_alike(
    x: np.ndarray,
    targets: dict[str, np.ndarray],
    rows: np.ndarray,
    probe: "Probe",
    n_splits: int,
    seed: int,
) -> dict[str, ProbeReading]:
    folds = make_folds(len(x), n_splits, seed)
    truths: Sequence[np.ndarray] = list(targets.values())
    if x.shape[1] == 0:
        predicted = [np.broadcast_to(y.mean(0), y.shape) for y in truths]
    else:
        predicted = probe.out_of_fold(x, truths, folds)
    where = np.flatnonzero(rows)
    return {
        name: ProbeReading(where, y, p)
        for (name, y), p in zip(targets.items(), predicted, strict=True)
    }


def block_recovery(
    latent: Any,
    truth: Any,
    *,
    probe: "str | Probe" = "ridge",
    n_splits: int = 5,
    seed: int = 0,
) -> float:
    """Out-of-fold R² of true factors predicted from a block of latents, mean over factors.

    Rotation of either side does not matter to the ridge probe. Below 0 means worse than the mean.

    Parameters
    ----------
    latent
        n × d; rows with a NaN take no part.
    truth
        n × k, rows as in ``latent``.
    probe
        ``"ridge"``, or ``"kernel"``: Gaussian-kernel ridge, which also finds what is coded
        nonlinearly.
    n_splits
        Folds.
    seed
        Seed of the folds.

    Returns
    -------
    float
        R², 1 at best.

    Raises
    ------
    ValueError
        If the numbers of rows differ or the probe is unknown.

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((100, 2))
    >>> block_recovery(z, z @ [[1.0, 2.0], [0.0, 1.0]]) > 0.99
    True
    """
    found = read_targets(latent, {"truth": truth}, probe=probe, n_splits=n_splits, seed=seed)
    return found["truth"].r2


def leakage(
    latent: Any, private: Mapping[str, Any], *, probe: "str | Probe" = "ridge", seed: int = 0
) -> float:
    """R² of the views' private factors read from the shared latents, mean over views: 0 is right.

    Parameters
    ----------
    latent
        Shared latents, n × d.
    private
        View to its true private factors, n × k.
    probe, seed
        As in :func:`block_recovery`.

    See Also
    --------
    leakage_matrix : Every latent block against every true block.
    view_leakage : Where no truth is known.

    Returns
    -------
    float
        R², 0 at best.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z, w = rng.standard_normal((2, 200, 3))
    >>> abs(leakage(z, {"rna": w})) < 0.1
    True
    """
    found = read_targets(latent, private, probe=probe, seed=seed)
    return float(np.mean([reading.r2 for reading in found.values()]))


def disentanglement(
    blocks: Mapping[str, Any],
    truth: Mapping[str, Any],
    *,
    probe: "str | Probe" = "ridge",
    seed: int = 0,
) -> pd.DataFrame:
    """R² of each true block read from each latent block: the table of :func:`leakage_matrix`.

    Parameters
    ----------
    blocks
        Name of a latent block (``"shared"``, ``"private:rna"``, ...) to n × d.
    truth
        Name of a true block to n × k.
    probe, seed
        As in :func:`block_recovery`.

    Returns
    -------
    DataFrame
        Latent blocks × true blocks; right is near 1 where the names agree and near 0 elsewhere.

    Examples
    --------
    >>> z, w = np.random.default_rng(0).standard_normal((2, 200, 3))
    >>> truth = {"shared": z, "private:rna": w}
    >>> float(disentanglement(truth, truth).loc["shared", "shared"].round(2))
    1.0
    """
    rows = {
        name: {k: r.r2 for k, r in read_targets(z, truth, probe=probe, seed=seed).items()}
        for name, z in blocks.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")
