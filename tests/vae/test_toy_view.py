"""A view that is no matrix: bags of instances, of one class that reads them into evidence."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyro
import pytest
import torch
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.loop import fit
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.start.em import em_sweeps
from mvlatent.objectives.agreement import Agreement
from mvlatent.objectives.cross_view import CrossView
from mvlatent.objectives.objective import Objective
from mvlatent.posterior import Latents
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.parts import PARTS, Part
from mvlatent.vae.structured import Design, StructuredVAE, ViewDesign

N, K, D, P_BAG, P_RNA, MOST = 60, 3, 1, 4, 6, 5


@dataclass(frozen=True, eq=False)
class Bags:
    """Instances of N patients, (N, L, p), and which places hold one, (N, L) bool."""

    instances: Tensor
    filled: Tensor
    present: Tensor

    def subset(self, rows: Tensor) -> "Bags":
        return Bags(self.instances[rows], self.filled[rows], self.present[rows])

    def where(self, kept: Tensor) -> "Bags":
        return replace(self, present=self.present & kept)

    def absent(self) -> "Bags":
        nothing = torch.zeros_like(self.filled)
        return Bags(torch.zeros_like(self.instances), nothing, torch.zeros_like(self.present))

    def dense(self) -> "Bags":
        return self

    def chunks(self):
        yield torch.arange(len(self.present))

    def to(self, device) -> "Bags":
        return Bags(*(t.to(device) for t in (self.instances, self.filled, self.present)))


@dataclass(frozen=True)
class BagDesign:
    kind: ClassVar[str] = "bag"
    name: str
    n_features: int
    n_private: int = D

    @property
    def n_shown(self) -> int:
        return self.n_private


class BagPart(Part):
    """Instances x_ij = [z_i, w_i] L + σ ε_ij: every one adds its Gaussian evidence."""

    design_class = BagDesign
    affine = True

    def __init__(self, view: BagDesign, design: Design) -> None:
        super().__init__(view, design)
        width = design.n_shared + view.n_private
        self.loadings = nn.Parameter(0.5 * torch.randn(width, view.n_features))
        self.log_sd = nn.Parameter(torch.zeros(view.n_features))

    def read(self, rows: Bags, technical: Tensor) -> Evidence:
        k, filled = self.n_shared, rows.filled.to(self.loadings.dtype)
        weighted = self.loadings * (-2 * self.log_sd).exp()
        gram = filled.sum(1)[:, None, None] * (weighted @ self.loadings.mT)
        pull = torch.einsum("nlp,nl,mp->nm", rows.instances, filled, weighted)
        cross, own = gram[:, :k, k:], gram[:, k:, k:] + torch.eye(self.n_private)
        gain = cross @ torch.linalg.inv(own)
        potential = pull[:, :k] - (gain @ pull[:, k:, None]).squeeze(-1)

        def private(z: Tensor) -> PrecisionNormal:
            return PrecisionNormal(pull[:, k:] - (z.unsqueeze(-2) @ cross).squeeze(-2), own)

        return Evidence(potential, gram[:, :k, :k] - gain @ cross.mT, private)

    def evidence_precision(self) -> Tensor:
        one = torch.ones(1, MOST, dtype=torch.bool)
        rows = Bags(torch.zeros(1, MOST, self.loadings.shape[1]), one, one[:, 0])
        return self.read(rows, torch.zeros(1, 0)).precision[0]

    def observe(self, rows, z, w, technical, drawn, *, clamped=False) -> None:
        mean = (torch.cat([z, w], -1) @ self.loadings).unsqueeze(-2)
        error = (rows.instances - mean) * (-self.log_sd).exp()
        each = -0.5 * (error.square() + math.log(2 * math.pi)).sum(-1) - self.log_sd.sum()
        pyro.factor(f"x:{self.name}", (each * rows.filled).sum(-1))


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(PARTS, "bag", f"{__name__}:BagPart")


@pytest.fixture
def cohort(make_cohort) -> Cohort:
    """A matrix and a bag of 0 to 5 instances a patient, of the same factors."""
    rng = torch.Generator().manual_seed(1)
    whole = make_cohort({"rna": P_RNA}, n=N, absent=0.0, seed=1)
    rna = whole.views["rna"].where(torch.arange(N) % 7 > 0)
    z = torch.linalg.svd(rna.values, full_matrices=False).U[:, :2] * math.sqrt(N)
    sizes = torch.arange(N) % (MOST + 1)
    filled = torch.arange(MOST) < sizes[:, None]
    signal = (z @ torch.randn(2, P_BAG, generator=rng))[:, None]
    instances = (signal + 0.7 * torch.randn(N, MOST, P_BAG, generator=rng)) * filled[..., None]
    return replace(whole, views={"rna": rna, "slides": Bags(instances, filled, sizes > 0)})


@pytest.fixture
def vae() -> StructuredVAE:
    torch.manual_seed(0)
    views = (ViewDesign("rna", "normal", "feature", P_RNA, 0, 2), BagDesign("slides", P_BAG))
    vae = StructuredVAE(Design(views, n_shared=K))
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return vae


def joint(vae: StructuredVAE, cohort: Cohort, i: int) -> tuple[Tensor, Tensor, Tensor]:
    """Loadings of all that was measured of a patient on [z, w_rna, w_slides], noise, values."""
    rna, bag = vae.part("rna"), vae.member("slides")
    width = K + 2 + D
    loadings, noise, values = [torch.zeros(0, width)], [torch.zeros(0)], [torch.zeros(0)]
    view, slides = cohort.views["rna"], cohort.views["slides"]
    if view.present[i]:
        own = torch.zeros(P_RNA, width)
        own[:, : K + 2] = rna.decoder.loadings.T
        loadings.append(own)
        noise.append(rna.noise_variance())
        values.append(view.values[i] - rna.decoder.intercept)
    for x in slides.instances[i][slides.filled[i]]:
        own = torch.zeros(P_BAG, width)
        own[:, :K], own[:, K + 2 :] = bag.loadings[:K].T, bag.loadings[K:].T
        loadings.append(own)
        noise.append((2 * bag.log_sd).exp())
        values.append(x)
    return torch.cat(loadings), torch.cat(noise), torch.cat(values)


@torch.no_grad()
def test_the_posterior_is_that_of_the_joint_gaussian(vae, cohort, double):
    vae, cohort = vae.double(), _double(cohort)
    q, _ = vae.posterior(cohort)
    latents = Latents(vae, cohort)
    for i in range(N):
        loadings, noise, x = joint(vae, cohort, i)
        precision = torch.eye(loadings.shape[1]) + loadings.T @ (loadings / noise[:, None])
        covariance = torch.linalg.inv(precision)
        mean = covariance @ loadings.T @ (x / noise)
        torch.testing.assert_close(q.mean[i], mean[:K])
        torch.testing.assert_close(q.covariance[i], covariance[:K, :K])
        torch.testing.assert_close(latents.private_mean("slides")[i], mean[K + 2 :])
        sd = covariance.diagonal()[K + 2 :].sqrt()
        torch.testing.assert_close(latents.private_sd("slides")[i], sd)


@torch.no_grad()
def test_the_bound_is_the_evidence(vae, cohort, double):
    vae, cohort = vae.double(), _double(cohort)
    expected = 0.0
    for i in range(N):
        loadings, noise, x = joint(vae, cohort, i)
        if len(x):
            spread = loadings @ loadings.T + torch.diag(noise)
            zero = torch.zeros(len(x))
            expected += torch.distributions.MultivariateNormal(zero, spread).log_prob(x) / N
    torch.manual_seed(0)
    draws = torch.stack([-Objective(vae)(cohort, N)[0] for _ in range(300)])
    assert abs(draws.mean() - expected) < 4 * draws.std() / math.sqrt(len(draws))


def test_gradient_steps_train_it(vae, cohort):
    before = vae.member("slides").loadings.detach().clone()
    plan = Plan(max_epochs=30, lr=2e-2, batch_size=20, view_dropout=0.2, accelerator="cpu")
    fitted = fit(Objective(vae), cohort, plan, progress=False)
    elbo = [row["elbo"] for row in fitted.history]
    assert sum(elbo[-5:]) / 5 > sum(elbo[:5]) / 5 + 1
    assert {"x:slides", "kl:w:slides"} <= set(fitted.history[0])
    assert (vae.member("slides").loadings - before).abs().max() > 0.05


def test_terms_beside_the_bound_take_it(vae, cohort):
    objective = Objective(vae, terms=[Agreement(weight=0.1), CrossView(weight=1.0)])
    loss, found = objective(cohort, N)
    loss.backward()
    assert torch.isfinite(loss) and {"agreement", "cross_view"} <= set(found)
    assert vae.member("slides").loadings.grad.abs().max() > 0


@torch.no_grad()
def test_sweeps_of_the_matrices_listen_to_it(vae, cohort):
    told = vae.part("rna").decoder.shared.clone()
    em_sweeps(vae, cohort, 2)
    assert (vae.part("rna").decoder.shared - told).abs().max() > 1e-3


def test_any_subset_of_views_is_read(vae, cohort):
    own = Latents(vae, cohort.mask_views(["slides"]).subset(list(range(10))))
    assert own.posterior("private:slides").mean.shape == (10, D)
    drawn = own.posterior("all").sample(50)
    assert drawn.shape == (50, 10, K + 2 + D) and np.isfinite(drawn).all()
    none = Latents(vae, cohort.mask_views([]))
    torch.testing.assert_close(none.z.mean, torch.zeros(N, K))


def test_it_is_built_again_from_its_design(vae, cohort):
    again = StructuredVAE(Design.from_dict(vae.design.to_dict()))
    assert again.design == vae.design
    again.load_state_dict(vae.state_dict())
    torch.testing.assert_close(again.posterior(cohort)[0].mean, vae.posterior(cohort)[0].mean)


def test_only_matrices_have_decoders(vae):
    assert [name for name, _ in vae.items] == ["rna"]
    with pytest.raises(TypeError, match="'slides' is no matrix"):
        vae.part("slides")
    with pytest.raises(KeyError, match="no kind of view 'graph'"):
        Design.from_dict({**vae.design.to_dict(), "views": [{"kind": "graph", "name": "g"}]})


def _double(cohort: Cohort) -> Cohort:
    rna, bags = cohort.views["rna"], cohort.views["slides"]
    views = {
        "rna": replace(rna, x=rna.x.double()),
        "slides": replace(bags, instances=bags.instances.double()),
    }
    return replace(cohort, views=views, technical=cohort.technical.double())
