"""What a fitted model says of views: entries that are missing, loadings, shares of variance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.methods.arguments import check_level, check_one_of, check_view
from mvlatent.methods.latent import LatentReader
from mvlatent.methods.results import Imputation
from mvlatent.reading.impute import predict_view
from mvlatent.reading.linear import jacobian
from mvlatent.reading.loadings import Loadings, active_factors, credible_loadings
from mvlatent.reading.top_features import effects_of_step, factor_place, top_features
from mvlatent.reading.variance import variance_explained
from mvlatent.specs.checks import check_whole

__all__ = ["ViewReader"]


class ViewReader(LatentReader):
    """Readings of the views, for `mvlatent.MVLatent`."""

    def impute(
        self,
        view: str,
        mdata: MuData | AnnData | None = None,
        *,
        given: Sequence[str] | str | None = None,
        through: str = "all",
        interval: float | None = None,
        n_samples: int = 200,
        seed: int = 0,
        units: str = "original",
        missing_features: str = "refuse",
    ) -> pd.DataFrame | Imputation:
        """Predict a view from others.

        Parameters
        ----------
        view
            View to predict.
        mdata
            Patients; the fitted ones by default.
        given
            Views to look at; by default every other one.
        through
            ``"all"``: through z, and through what the other views know of this one beyond it where
            held-out patients said that it helps; ``"latent"``: through z alone.
        interval
            Level of a predictive interval, e.g. 0.9.
        n_samples, seed
            Draws, where the prediction has no closed form.
        units
            ``"original"``, or ``"scaled"`` for the model's own.
        missing_features
            As in `posterior`.

        Returns
        -------
        DataFrame or Imputation
            Means, patients × features; with ``interval`` also sd and bounds. Of a Bernoulli view
            they are those of the probability; the "mean" of a categorical one is its most probable
            level. Bounds of counts and levels are counts and levels. Beyond the training range
            values in the user's units saturate there.

        Raises
        ------
        TypeError
            If an argument is of another kind than it has to be.
        KeyError
            If there is no such view, or new patients lack features.
        ValueError
            If an argument is out of its range or not one of the choices, or the model has no
            patients and none are given.

        Examples
        --------
        >>> model.impute("rna", given="img").shape
        (80, 300)
        >>> found = model.impute("rna", mdata[:5].copy(), interval=0.9)
        >>> found
        Imputation of 5 patients × 300 features: .mean, .sd, .lower, .upper
        >>> bool((found.lower <= found.upper).all(axis=None))
        True
        """
        check_view(view, self.roles.views)
        check_one_of("units", units, ("original", "scaled"))
        check_one_of("through", through, ("all", "latent"))
        if interval is not None:
            check_level("interval", interval)
        check_whole("n_samples", n_samples, 1)
        check_whole("seed", seed, 0)
        others = [name for name in self.roles.views if name != view]
        looked_at = others if given is None else given
        latents = self.latents(mdata, given=looked_at, missing_features=missing_features)
        preparation = self.trained.preparation

        def inverse(x: np.ndarray) -> np.ndarray:
            return preparation.inverse(view, x) if units == "original" else x

        found = predict_view(
            latents,
            view,
            self.trained.bases[view],
            inverse,
            level=interval,
            n_samples=n_samples,
            seed=seed,
            heads=self.trained.view_heads,
            latent=through == "latent",
        )
        patients = list(latents.cohort.obs_names)
        frames = [
            preparation.frame(view, x, patients)
            for x in (found.mean, found.sd, found.lower, found.upper)
            if x is not None
        ]
        return frames[0] if interval is None else Imputation(*frames)

    def loadings(
        self, view: str, *, block: str = "shared", interval: float | None = None
    ) -> pd.DataFrame | Loadings:
        """Loadings of a view: what a step along each factor changes in each feature.

        Parameters
        ----------
        view
            View.
        block
            ``"shared"`` for the factors of z, ``"private"`` for those of the view alone.
        interval
            Level of credible intervals, where the model was fitted with ``loadings="ard"`` or
            ``"horseshoe"``.

        Returns
        -------
        DataFrame or Loadings
            Features × factors in scaled units, exact for linear decoders and else the mean over
            patients; with ``interval`` their posterior, ``.mean``, ``.sd``, ``.lower`` and
            ``.upper``. For other likelihoods than normal and Student's t they are in units of the
            linear predictor: log rates of counts, logits of shares and of zeros and ones; a
            categorical feature has a row a level.

        Raises
        ------
        TypeError
            If ``interval`` is not a number.
        KeyError
            If there is no such view or block.
        ValueError
            If ``interval`` is not between 0 and 1, or the loadings are points.

        Examples
        --------
        >>> model.loadings("rna").shape
        (300, 3)
        >>> model.loadings("img", block="private").columns.tolist()
        ['private_0', 'private_1']
        """
        check_view(view, self.roles.views)
        if block not in ("shared", "private", f"private:{view}"):
            raise KeyError(f"no block {block!r} of view {view!r}; the blocks are shared, private.")
        block = block.partition(":")[0]
        if interval is not None:
            check_level("interval", interval)
            return credible_loadings(self.trained, view, block, interval)
        latents = self.latents() if self._cohort is not None else self._prior_latents()
        values = jacobian(latents, view, self.trained.bases[view], block).numpy()
        if block == "private":
            values = values[: self.trained.vae.part(view).design.n_shown]
        names = [f"{block}_{j}" for j in range(len(values))]
        return self.trained.preparation.frame(view, values, names).T

    def top_features(
        self, view: str, factor: int | str, n: int = 10, *, interval: float = 0.9
    ) -> pd.DataFrame:
        """Features of a view that drive a factor, signed, with what a step changes in them.

        Parameters
        ----------
        view
            View.
        factor
            Number of a shared factor, or a name: ``"shared_0"``, or ``"private_0"`` for one of the
            view alone.
        n
            Most features, those of the largest loadings in scaled units, which can be compared.
        interval
            Level of credible intervals, which there are where the model was fitted with
            ``loadings="ard"`` or ``"horseshoe"`` and a linear decoder.

        Returns
        -------
        DataFrame
            A row a feature, the largest loading first. ``effect`` is the change in the user's units
            as a typical patient goes one step along the factor (half a step below to half a step
            above the middle): of zeros and ones a change of the probability, of counts of the
            expected count; a categorical feature has a row a level and changes of its probability.
            ``loading`` is the loading in scaled units, as in `loadings`. With a posterior also
            ``lower``, ``upper`` of the effect and ``loading_lower``, ``loading_upper``; of a
            categorical view of the loading alone. ``attrs`` name view and factor.

        Raises
        ------
        TypeError
            If ``n`` is not an integer or ``interval`` not a number.
        KeyError
            If there is no such view or factor.
        ValueError
            If the factor is switched off, ``n`` is below 1 or ``interval`` out of its range.

        Examples
        --------
        >>> top = model.top_features("rna", "shared_0", n=5)
        >>> top.columns.tolist()
        ['effect', 'lower', 'upper', 'loading', 'loading_lower', 'loading_upper']
        >>> bool(top["loading"].abs().is_monotonic_decreasing)
        True
        """
        check_view(view, self.roles.views)
        check_whole("n", n, 1)
        check_level("interval", interval)
        trained, part = self.trained, self.trained.vae.part(view)
        on = {"shared": trained.vae.active.tolist(), "private": part.shown.tolist()}
        block, number = factor_place(factor, view, on)
        loading = self.loadings(view, block=block)
        assert isinstance(loading, pd.DataFrame)  # as no interval was asked for
        random = part.decoder.is_linear and part.decoder.random_loadings is not None
        posterior = credible_loadings(trained, view, block, interval) if random else None
        effects = effects_of_step(trained, self._prior_latents(), view)
        name = f"{block}_{number}"
        table = top_features(loading[name], effects, n, posterior, alone=not self._coded(view))
        table.attrs = {"view": view, "factor": name}
        return table

    def _coded(self, view: str) -> bool:
        """Whether the features of a view have a column a level."""
        preparation = self.trained.preparation
        return len(preparation.columns(view)) != len(preparation.features(view))

    def active_factors(self, *, sd: bool = False) -> pd.DataFrame:
        """Which factors are active in which view, where loadings have a posterior.

        Parameters
        ----------
        sd
            Sizes in place of bools: what the factor adds to the standard deviation of an average
            feature of the view, in scaled units.

        Returns
        -------
        DataFrame
            Factors × views. A factor is active where the squared posterior means of its loadings
            outweigh their variances.

        Raises
        ------
        ValueError
            If the model was not fitted with ``loadings="ard"`` or ``"horseshoe"``.

        Examples
        --------
        >>> model.active_factors().index[:3].tolist()
        ['shared_0', 'shared_1', 'shared_2']
        """
        return active_factors(self.trained, sd=sd)

    def variance_explained(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        by: str = "block",
        missing_features: str = "refuse",
    ) -> pd.DataFrame:
        """Share of each view's variance that the model explains, and through what.

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        by
            ``"block"``: rows ``shared``, ``private``, ``technical`` and ``all``; ``"factor"``: a
            row a factor.
        missing_features
            As in `posterior`.

        Returns
        -------
        DataFrame
            Shares, rows × views; 1 is all of the view's variance in scaled units.

        Raises
        ------
        TypeError, KeyError
            As in `transform`.
        ValueError
            If ``by`` is not one of the choices.

        Examples
        --------
        >>> model.variance_explained().index.tolist()
        ['shared', 'private', 'technical', 'all']
        """
        check_one_of("by", by, ("block", "factor"))
        blocks, factors = variance_explained(self.latents(mdata, missing_features=missing_features))
        return (blocks if by == "block" else factors)[list(self.roles.views)]
