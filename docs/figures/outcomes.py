"""Draw outcomes.png: one patient's curves with and without a view, risk groups and the ledger.

``python docs/figures/outcomes.py`` takes the demo cohort, a third of it kept aside.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mvlatent as mv


def main() -> None:
    """Fit two thirds of the demo cohort and draw what is predicted of the rest."""
    warnings.simplefilter("ignore")
    mdata = mv.datasets.demo()
    order = np.random.default_rng(0).permutation(mdata.n_obs)
    test, train = (mdata[np.sort(rows)].copy() for rows in (order[:100], order[100:]))
    model = mv.fit(
        train,
        batch="site",
        clinical=["age", "is_female"],
        survival=("survival_months", "event"),
        seed=0,
        progress=False,
    )
    complete = np.all([np.isin(test.obs_names, m.obs_names) for m in test.mod.values()], axis=0)
    patient = test[[test.obs_names[complete][1]]].copy()
    fig, axes = plt.subplots(2, 2, figsize=(9.5, 6.6), layout="constrained")
    for ax, given, title in (
        (axes[0, 0], None, "a new patient, all views"),
        (axes[0, 1], ["mut"], "the same, mutations alone"),
    ):
        curves = model.predict_survival(mdata=patient, interval=0.9, given=given)
        mv.pl.survival_curves(curves, ax=ax, unit="months", title=title)
    risk = model.predict_risk(test).to_numpy()
    known = (test.obs["survival_months"].to_numpy(), test.obs["event"].to_numpy())
    title = "new patients by predicted risk"
    mv.pl.kaplan_meier(risk, *known, groups=3, ax=axes[1, 0], unit="months", title=title)
    mv.pl.ledger(model.ledger(), ax=axes[1, 1], title="whose prognosis it is")
    fig.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
