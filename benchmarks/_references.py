"""Survival likelihoods beside other implementations of them, on data with ties and censoring."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mvlatent.data.cohort import SurvivalData
from mvlatent.heads import BlockHead, CauseHeads, fit_head
from mvlatent.outcomes import SURVIVAL
from mvlatent.outcomes.discrete import periods_at_risk
from mvlatent.outcomes.intervals import observed_overlap
from mvlatent.specs import Survival

__all__ = ["REFERENCES", "Comparison", "Sample", "simulate"]

FREE = {"x": 1e3}  # an sd that penalises nothing
NAMES = ["a", "b", "c"]


class Sample(NamedTuple):
    """Simulated patients, float64.

    Attributes
    ----------
    x
        Features, (n, 3).
    time, event, entry, stratum
        Outcomes, (n,): quarters of a year, some 70 % censored, three strata.
    cause
        0, 1 or 2, (n,).
    """

    x: Tensor
    time: Tensor
    event: Tensor
    entry: Tensor
    stratum: Tensor
    cause: Tensor

    def record(
        self, *, entry: bool = False, strata: bool = False, causes: bool = False
    ) -> SurvivalData:
        """The outcomes as our likelihoods take them."""
        return SurvivalData(
            self.time,
            self.event,
            entry=self.entry if entry else None,
            stratum=self.stratum if strata else None,
            cause=self.cause.long() if causes else None,
            n_strata=3 if strata else 1,
        )

    def frame(self, *, entry: bool = False, strata: bool = False) -> pd.DataFrame:
        """The patients as lifelines takes them."""
        frame = pd.DataFrame(self.x.numpy(), columns=NAMES)
        frame = frame.assign(t=self.time.numpy(), e=self.event.numpy())
        if entry:
            frame["start"] = self.entry.numpy()
        return frame.assign(s=self.stratum.numpy()) if strata else frame


class Comparison(NamedTuple):
    """One quantity by two implementations."""

    quantity: str
    ours: Any
    theirs: Any

    @property
    def error(self) -> float:
        """Largest difference, relative to the larger of the reference and 1 % of its range."""
        ours, theirs = (np.atleast_1d(np.asarray(v, float)) for v in (self.ours, self.theirs))
        scale = np.maximum(np.abs(theirs), 0.01 * np.abs(theirs).max())
        return float(np.max(np.abs(ours - theirs) / scale))


def simulate(n: int = 200, *, ties: bool = True, seed: int = 0) -> Sample:
    """Simulate patients with a hazard of three features that differs between strata."""
    g = torch.Generator().manual_seed(seed)

    def exponential(scale: float | Tensor) -> Tensor:
        return torch.empty(n, dtype=torch.float64).exponential_(generator=g) * scale

    x = torch.randn(n, 3, generator=g, dtype=torch.float64)
    stratum = torch.randint(0, 3, (n,), generator=g)
    eta = x @ torch.tensor([0.8, -0.5, 0.0], dtype=torch.float64)
    end = exponential(5.0 * torch.exp(-eta) / (1.0 + stratum)).sqrt() * 3
    censor = exponential(2.5)
    time, event = torch.minimum(end, censor), (end <= censor).double()
    if ties:
        time = (4 * time).ceil() / 4
    # some were there from the start; the others came at a quarter before their end
    late = torch.rand(n, generator=g, dtype=torch.float64)
    entry = torch.where(late < 0.4, 0.0, (4 * late * time).floor() / 4)
    entry = torch.where(entry < time, entry, 0.0)
    second = torch.rand(n, generator=g) < 0.4
    cause = event * torch.where(second, 2.0, 1.0).double()
    return Sample(x, time, event, entry, stratum, cause)


def _likelihood(data: Sample, *, entry: bool = False, strata: bool = False, **options: Any) -> Any:
    """Likelihood from the data, and the record of them."""
    spec = Survival("t", "e", **options)
    record = data.record(entry=entry, strata=strata, causes=spec.kind == "competing")
    return SURVIVAL[spec.kind].from_data(record, spec).double(), record


def _head(likelihood: Any, data: Sample, record: SurvivalData) -> BlockHead:
    """Unpenalised head of the features."""
    return BlockHead.fit({"x": data.x}, likelihood.bind(record), fixed_sd=FREE)


def cox_lifelines(*, entry: bool = False, strata: bool = False) -> list[Comparison]:
    """Efron's partial likelihood, its maximum, its curvature and Breslow's curves."""
    from lifelines import CoxPHFitter

    data = simulate()
    options: dict[str, Any] = {"fit_options": {"precision": 1e-13}}
    options |= {"entry_col": "start"} if entry else {}
    options |= {"strata": ["s"]} if strata else {}
    frame = data.frame(entry=entry, strata=strata)
    reference = CoxPHFitter().fit(frame, "t", "e", **options)
    likelihood, record = _likelihood(data, kind="cox", entry=entry, strata=strata)
    eta = data.x @ torch.tensor(reference.params_.to_numpy())
    head = _head(likelihood, data, record)
    out = [
        Comparison(
            "log-likelihood",
            likelihood.log_prob(eta, record),
            reference.log_likelihood_,
        ),
        Comparison("coefficients", head.coef["x"][:, 0], reference.params_),
        Comparison("covariance", head.cov[0], reference.variance_matrix_),
    ]
    if not entry:  # lifelines makes its baseline of all patients, whenever they came
        for s in range(3 if strata else 1):
            own = data.stratum == s if strata else torch.ones(len(eta), dtype=torch.bool)
            times = data.time[own & (data.event > 0)].unique()  # it draws lines between events
            curves = reference.predict_survival_function(frame[own.numpy()], times=times.numpy())
            stratum = data.stratum[own] if strata else None
            ours = head.survival(times, {"x": data.x[own]}, stratum=stratum)
            out.append(Comparison(f"survival, stratum {s}" if strata else "survival", ours, curves))
    return out


def cox_nelson_aalen() -> list[Comparison]:
    """Breslow's baseline with entry times and without predictors, no ties."""
    from lifelines import NelsonAalenFitter

    data = simulate(ties=False)
    likelihood, record = _likelihood(data, kind="cox", entry=True)
    head = BlockHead.fit({"x": data.x}, likelihood.bind(record), fixed_sd={"x": 0.0})
    fitter = NelsonAalenFitter(nelson_aalen_smoothing=False)
    fitter.fit(data.time, data.event, entry=data.entry)
    times = data.time[data.event > 0].sort().values
    ours = -head.survival(times, {"x": data.x[:1]})[:, 0].log()
    return [Comparison("cumulative hazard", ours, fitter.predict(times.numpy()).to_numpy())]


def cox_torchsurv() -> list[Comparison]:
    """Breslow's partial likelihood and its gradient."""
    from torchsurv.loss.cox import neg_partial_log_likelihood

    data = simulate()
    likelihood, record = _likelihood(data, kind="cox", ties="breslow")
    values = []
    for ours in (True, False):
        eta = (data.x @ torch.tensor([0.7, -0.4, 0.1], dtype=torch.float64)).requires_grad_()
        if ours:
            value = likelihood.log_prob(eta, record)
        else:
            value = -neg_partial_log_likelihood(
                eta, data.event.bool(), data.time, ties_method="breslow", reduction="sum"
            )
        values.append((value.detach(), torch.autograd.grad(value, eta)[0]))
    (value, grad), (their_value, their_grad) = values
    return [
        Comparison("log-likelihood", value, their_value),
        Comparison("gradient", grad, their_grad),
    ]


def weibull_lifelines(*, entry: bool = False) -> list[Comparison]:
    """Weibull likelihood and curves at the maximum that lifelines finds; its scale is -1/shape."""
    from lifelines import WeibullAFTFitter

    data = simulate()
    fitter = WeibullAFTFitter()
    fitter._scipy_fit_options = {"ftol": 1e-14}
    frame = data.frame(entry=entry)
    reference = fitter.fit(frame, "t", "e", **({"entry_col": "start"} if entry else {}))
    shape = float(np.exp(reference.params_["rho_", "Intercept"]))
    scale = reference.params_["lambda_"]
    likelihood, record = _likelihood(data, kind="weibull", entry=entry)
    eta = -shape * data.x @ torch.tensor(scale[NAMES].to_numpy())
    level = shape * (likelihood.origin.log() - scale["Intercept"])
    with torch.no_grad():
        likelihood.log_shape.fill_(np.log(shape))
        likelihood.level.copy_(level)
    out = [
        Comparison(
            "log-likelihood",
            likelihood.log_prob(eta, record).sum().detach(),
            reference.log_likelihood_,
        )
    ]
    if not entry:
        times = np.linspace(0.25, float(data.time.max()), 20)
        baseline = _head(likelihood, data, record).baseline
        place = torch.stack([level, torch.tensor(shape).double().log()])
        hazard = baseline.cumulative_hazard(torch.tensor(times), eta, place - baseline.place)
        theirs = reference.predict_survival_function(frame, times=times)
        out.append(Comparison("survival", torch.exp(-hazard), theirs))
    return out


def piecewise_poisson(*, entry: bool = False, strata: bool = False) -> list[Comparison]:
    """Piecewise exponential likelihood at its maximum: a Poisson regression with an offset."""
    import statsmodels.api as sm

    data = simulate(ties=not strata)
    likelihood, record = _likelihood(
        data, kind="piecewise", n_intervals=4, entry=entry, strata=strata
    )
    overlap = observed_overlap(record, likelihood.cuts)
    row, interval = (overlap > 0).nonzero(as_tuple=True)
    died = data.event[row] * (torch.bucketize(data.time, likelihood.cuts)[row] == interval)
    cell = interval + len(overlap[0]) * (data.stratum[row] if strata else 0)
    design = np.hstack([np.eye(len(likelihood.alpha))[cell], data.x[row].numpy()])
    offset = overlap[row, interval].log().numpy()
    reference = sm.GLM(died.numpy(), design, family=sm.families.Poisson(), offset=offset)
    reference = reference.fit(tol=1e-14)
    return _at_maximum(likelihood, data, record, reference, float((died.numpy() * offset).sum()))


def discrete_logistic(*, entry: bool = False, strata: bool = False) -> list[Comparison]:
    """Discrete hazard likelihood at its maximum: a logistic regression on person-periods."""
    import statsmodels.api as sm

    data = simulate()
    likelihood, record = _likelihood(
        data, kind="discrete", n_intervals=5, entry=entry, strata=strata
    )
    weight, died = periods_at_risk(record, likelihood.ends)
    row, interval = (weight > 0).nonzero(as_tuple=True)
    cell = interval + len(weight[0]) * (data.stratum[row] if strata else 0)
    design = np.hstack([np.eye(len(likelihood.alpha))[cell], data.x[row].numpy()])
    reference = sm.GLM(
        died[row, interval].numpy(),
        design,
        family=sm.families.Binomial(),
        freq_weights=weight[row, interval].numpy(),
    ).fit(tol=1e-14)
    return _at_maximum(likelihood, data, record, reference, 0.0)


def _at_maximum(
    likelihood: Any, data: Sample, record: SurvivalData, reference: Any, constant: float
) -> list[Comparison]:
    """Our value at the maximum of a regression, and the step that ours would still take there."""
    n_cells = len(likelihood.alpha)
    place = torch.tensor(np.asarray(reference.params))

    def value(p: Tensor) -> Tensor:
        state = {"alpha": p[:n_cells]}
        eta = data.x @ p[n_cells:]
        return torch.func.functional_call(_Called(likelihood), _prefixed(state), (eta, record))

    hessian = torch.autograd.functional.hessian(value, place)
    grad = torch.autograd.functional.jacobian(value, place)
    theirs = np.asarray(reference.cov_params())
    return [
        Comparison("log-likelihood", value(place).detach(), reference.llf - constant),
        Comparison("coefficients", place + torch.linalg.solve(-hessian, grad), place),
        Comparison("covariance", torch.linalg.inv(-hessian), theirs),
    ]


class _Called(torch.nn.Module):
    """A likelihood whose sum is its forward."""

    def __init__(self, likelihood: Any) -> None:
        super().__init__()
        self.likelihood = likelihood

    def forward(self, eta: Tensor, record: SurvivalData) -> Tensor:
        return self.likelihood.log_prob(eta, record).sum()


def _prefixed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"likelihood.{name}": value for name, value in state.items()}


def competing_aalen_johansen() -> list[Comparison]:
    """Incidence of two causes without predictors, no ties."""
    from lifelines import AalenJohansenFitter

    data = simulate(ties=False)
    likelihood, record = _likelihood(data, kind="competing", hazard="cox")
    head = fit_head({"x": data.x}, likelihood.bind(record), fixed_sd={"x": 0.0})
    assert isinstance(head, CauseHeads)
    out = []
    for cause in (1, 2):
        fitter = AalenJohansenFitter(calculate_variance=False)
        curve = fitter.fit(data.time, data.cause.long(), event_of_interest=cause)
        curve = curve.cumulative_density_.iloc[1:, 0]
        ours = head.incidence(torch.tensor(curve.index.to_numpy()), {"x": data.x[:1]}, cause=cause)
        out.append(Comparison(f"incidence of cause {cause}", ours[:, 0], curve.to_numpy()))
    return out


def competing_lifelines() -> list[Comparison]:
    """Partial likelihoods of two causes, each with the other censored."""
    from lifelines import CoxPHFitter

    data = simulate()
    likelihood, record = _likelihood(data, kind="competing", hazard="cox")
    head = fit_head({"x": data.x}, likelihood.bind(record), fixed_sd=FREE)
    total, eta, coefficients = 0.0, [], []
    for cause in (1, 2):
        frame = data.frame().assign(e=(data.cause == cause).numpy())
        reference = CoxPHFitter().fit(frame, "t", "e", fit_options={"precision": 1e-13})
        total += reference.log_likelihood_
        coefficients.append(reference.params_.to_numpy())
        eta.append(data.x @ torch.tensor(coefficients[-1]))
    value = likelihood.log_prob(torch.stack(eta, 1), record)
    return [
        Comparison("log-likelihood", value, total),
        Comparison("coefficients", head.coef["x"], np.stack(coefficients, 1)),
    ]


def _quiet(compare: Callable[..., list[Comparison]], **options: bool) -> Callable[[], Any]:
    def run() -> list[Comparison]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compare(**options)

    return run


REFERENCES: dict[tuple[str, str], Callable[[], list[Comparison]]] = {
    ("cox, Efron", "lifelines CoxPHFitter"): _quiet(cox_lifelines),
    ("cox, Efron, strata", "lifelines CoxPHFitter"): _quiet(cox_lifelines, strata=True),
    ("cox, Efron, entry", "lifelines CoxPHFitter"): _quiet(cox_lifelines, entry=True),
    ("cox, entry, no predictor", "lifelines NelsonAalenFitter"): _quiet(cox_nelson_aalen),
    ("cox, Breslow", "torchsurv"): _quiet(cox_torchsurv),
    ("piecewise", "statsmodels Poisson GLM"): _quiet(piecewise_poisson),
    ("piecewise, strata, entry", "statsmodels Poisson GLM"): _quiet(
        piecewise_poisson, strata=True, entry=True
    ),
    ("discrete", "statsmodels logistic GLM"): _quiet(discrete_logistic),
    ("discrete, strata, entry", "statsmodels logistic GLM"): _quiet(
        discrete_logistic, strata=True, entry=True
    ),
    ("weibull", "lifelines WeibullAFTFitter"): _quiet(weibull_lifelines),
    ("weibull, entry", "lifelines WeibullAFTFitter"): _quiet(weibull_lifelines, entry=True),
    ("competing, Cox hazards", "lifelines CoxPHFitter a cause"): _quiet(competing_lifelines),
    ("competing, no predictor", "lifelines AalenJohansenFitter"): _quiet(competing_aalen_johansen),
}
