"""Simulated cohorts with a known truth."""

from typing import TYPE_CHECKING, Any

from mvlatent.sim._cohort.drawing import draw_cohort
from mvlatent.sim._cohort.presets import preset_spec
from mvlatent.sim._cohort.truth import Truth

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["cohort"]


def cohort(
    preset: str = "easy", n: int = 500, seed: int = 0, **overrides: Any
) -> "tuple[MuData, Truth]":
    """Simulate a cohort of patients with several views, sites, subtypes and survival.

    Parameters
    ----------
    preset
        ``"easy"``: three normal views, linear mixing, site shifts, nothing missing. Others change
        one thing of it: ``"nonlinear"`` (MLP mixing), ``"confounded"`` (six strong sites, entangled
        with subtype; harder yet with ``mixing="mlp"``), ``"missing50"`` (half of all patient-view
        pairs), ``"weak_survival"``, ``"null"`` (outcomes and labels say nothing of the views),
        ``"private_dominates"``, ``"rich_private"`` (thirty private factors a view of falling
        strength around five weak shared ones, and more features than 500 patients).
        ``"demo"`` looks like a small bladder-cancer cohort: expression, copy number, mutations,
        image features, six sites, gaps.
    n
        Number of patients.
    seed
        Same seed, same cohort. For patients of another number in the same world, such as a test
        set, see :meth:`Truth.new_patients <mvlatent.sim.Truth.new_patients>`.
    **overrides
        Any field of :class:`~mvlatent.sim.CohortSpec`, such as ``confounding=0.5``.

    Returns
    -------
    tuple
        The MuData, and the :class:`~mvlatent.sim.Truth`. A modality holds only the patients who
        have it. ``obs`` has ``site``, ``age`` (years), ``is_female`` (0/1), ``subtype``,
        ``survival_months``, ``event`` (1 = death), and ``purity`` if it is a nuisance.

    Raises
    ------
    ValueError
        If the preset or an option is unknown or out of range, or ``n`` is below 2.

    Examples
    --------
    >>> mdata, truth = cohort("missing50", n=100, seed=1, hazard_sd=2.0)
    >>> truth.shared.shape
    (100, 5)
    >>> test, test_truth = truth.new_patients(2000)
    >>> test.n_obs
    2000
    """
    return draw_cohort(Truth, preset_spec(preset, **overrides), n, seed)
