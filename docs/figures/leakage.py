"""Draw leakage.png: what each latent block says of each true one, where private signals dominate.

``python docs/figures/leakage.py`` takes a simulated cohort, whose factors are known.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib.pyplot as plt

import mvlatent as mv


def main() -> None:
    """Fit the preset whose private signals have three times the sd of the shared ones."""
    warnings.simplefilter("ignore")
    mdata, truth = mv.sim.cohort("private_dominates", n=500, seed=0)
    views = dict.fromkeys(mdata.mod, "normal")
    model = mv.fit(mdata, views=views, batch="site", seed=0, progress=False)
    fig, ax = plt.subplots(figsize=(5.1, 3.3), layout="constrained")
    mv.pl.leakage_matrix(mv.tl.leakage_matrix(model, truth), ax=ax)
    fig.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
