"""The bound against Pyro's own, against the exact likelihood, and what each mask leaves of it."""

from dataclasses import replace

import pyro
import pytest
import torch
from pyro.infer import TraceMeanField_ELBO
from torch.distributions import MultivariateNormal

from mvlatent.objectives.elbo import TermsELBO
from mvlatent.objectives.objective import Objective, _Half
from mvlatent.vae.basis import fit_bases, rotate
from mvlatent.vae.gaussian import PrecisionNormal


def terms_of(vae, cohort, *, n_total=None, kl_weight=1.0, seed=0):
    with torch.random.fork_rng(), pyro.validation_enabled(False):
        torch.manual_seed(seed)
        n_total = len(cohort) if n_total is None else n_total
        _, terms = Objective(vae)(cohort, n_total, kl_weight)
    return {name: term * n_total for name, term in terms.items()}


def total(terms) -> torch.Tensor:
    return torch.stack(list(terms.values())).sum()


@pytest.mark.parametrize("encoder", ["exact", "mlp"])
@pytest.mark.parametrize("kl_weight", [1.0, 0.3])
def test_the_sum_is_pyros_elbo(double, make_cohort, make_vae, encoder, kl_weight):
    likelihoods = {"b": "bernoulli", "c": "studentt"}
    cohort = make_cohort(n=12, n_sites=2, absent=0.3, holes=("a",), likelihoods=likelihoods)
    vae = make_vae(cohort, encoder=encoder, powers={"a": 0.4})
    terms = terms_of(vae, cohort, n_total=50, kl_weight=kl_weight)
    reference = TraceMeanField_ELBO()(_Half(vae, "model"), _Half(vae, "guide"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss = reference(cohort, 50, kl_weight)
    torch.testing.assert_close(-total(terms), loss.detach())
    views = {f"x:{v}" for v in "abc"} | {f"kl:w:{v}" for v in "abc"}
    assert set(terms) == views | {"kl:z"} | {f"kl:effect:{v}" for v in "abc"}


@pytest.mark.parametrize(("absent", "holes"), [(0.0, ()), (0.4, ("a",))])
def test_exact_experts_make_the_bound_tight(double, make_cohort, make_vae, absent, holes):
    cohort = make_cohort(n=8, absent=absent, holes=holes)
    vae = make_vae(cohort)
    known = sum(float(log_marginal(vae, cohort, i)) for i in range(len(cohort)))
    draws = torch.stack([total(terms_of(vae, cohort, seed=s)) for s in range(100)])
    error = float(draws.std() / len(draws) ** 0.5)
    assert error < 2.0  # of about -200 nats
    assert float(draws.mean()) == pytest.approx(known, abs=3.5 * error)


def log_marginal(vae, cohort, i):
    """Log density of all measured entries of patient i, latents integrated out."""
    k, loadings, noise, x = vae.design.n_shared, [], [], []
    parts = [(vae.part(n), cohort.views[n]) for n in vae.names]
    parts = [(p, v) for p, v in parts if v.present[i]]
    for part, view in parts:
        seen = torch.ones(view.x.shape[1], dtype=torch.bool)
        if view.observed is not None:
            seen = view.observed[i]
        loadings.append((part.decoder.shared[:, seen], part.decoder.private[:, seen]))
        noise.append(part.likelihood.scale[seen] ** 2)
        x.append((view.x[i] - part.decoder.intercept)[seen])
    shared = torch.cat([a for a, _ in loadings], 1)
    assert shared.shape[0] == k
    covariance = shared.T @ shared + torch.block_diag(*(v.T @ v for _, v in loadings))
    covariance = covariance + torch.diag(torch.cat(noise))
    x = torch.cat(x)
    return MultivariateNormal(torch.zeros_like(x), covariance).log_prob(x).detach()


def test_kl_weight_scales_the_patients_kl_and_nothing_else(double, make_cohort, make_vae):
    cohort = make_cohort(n=12, n_sites=2, absent=0.3)
    vae = make_vae(cohort)
    full, part = terms_of(vae, cohort), terms_of(vae, cohort, kl_weight=0.25)
    for name, term in full.items():
        factor = 0.25 if name == "kl:z" or name.startswith("kl:w:") else 1.0
        torch.testing.assert_close(part[name], factor * term, msg=name)
        assert term != 0


def test_likelihood_power_scales_its_view(double, make_cohort, make_vae):
    cohort = make_cohort(n=12)
    full = terms_of(make_vae(cohort, encoder="mlp"), cohort)
    powered = terms_of(make_vae(cohort, encoder="mlp", powers={"b": 0.3}), cohort)
    for name, term in full.items():
        torch.testing.assert_close(powered[name], (0.3 if name == "x:b" else 1.0) * term)


def test_a_missing_view_contributes_nothing(double, make_cohort, make_vae):
    cohort = make_cohort(n=12, n_sites=2)
    vae = make_vae(cohort)
    without = cohort.mask_views(["a", "c"])
    dirty = replace(without.views["b"], x=torch.full_like(cohort.views["b"].x, 1e5))
    garbage = replace(without, views={**without.views, "b": dirty})
    clean, found = terms_of(vae, without), terms_of(vae, garbage)
    assert clean["x:b"] == 0 and clean["kl:w:b"] == 0
    assert clean == found
    # and the gradient reaches no parameter of that view but those of its effects' prior
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss, _ = Objective(vae)(garbage, len(garbage))
    loss.backward()
    decoder = vae.part("b").decoder
    assert all(p.grad is None or bool((p.grad == 0).all()) for p in decoder.parameters())


def test_minibatches_estimate_the_whole(double, make_cohort, make_vae, monkeypatch):
    """With the draws at their means: patients are scaled N/|batch|, effects are counted once."""
    monkeypatch.setattr(PrecisionNormal, "rsample", lambda self, shape=None: self.mean)
    cohort = make_cohort(n=12, n_sites=2, absent=0.3)
    vae = make_vae(cohort)
    for part in vae.parts:
        part.effects.prior_sd.fill_(1e-9)  # no noise in B
        with torch.no_grad():
            part.effects.loc.mul_(1e-9)
    full = terms_of(vae, cohort)
    thirds = [torch.arange(i, 12, 3) for i in range(3)]
    each = [terms_of(vae, cohort.subset(rows), n_total=12) for rows in thirds]
    for name, term in full.items():
        mean = torch.stack([terms[name] for terms in each]).mean()
        torch.testing.assert_close(mean, term, msg=name)
        if name.startswith("kl:effect"):
            assert all(torch.isclose(terms[name], term) for terms in each)


@pytest.mark.parametrize("new", [False, True], ids=["training", "new"])
def test_rotation_changes_nothing(double, make_cohort, make_vae, new):
    sizes = {"a": 30, "b": 5}
    training = make_cohort(sizes, n=15, noise="view", absent=0.2)
    bases = fit_bases(training)
    bases = {k: replace(b, directions=b.directions.double()) for k, b in bases.items()}
    # single precision inside Basis.fit: make the directions orthonormal to the last digit
    bases["a"] = replace(bases["a"], directions=torch.linalg.qr(bases["a"].directions).Q)
    cohort = make_cohort(sizes, n=15, noise="view", absent=0.2, seed=5) if new else training
    rotated = rotate(cohort, bases)
    assert bases["a"].rotated and rotated.views["a"].n_outside > 10
    ours, plain = make_vae(rotated), make_vae(cohort)
    plain.part("b").load_state_dict(ours.part("b").state_dict())
    with torch.no_grad():
        source, target = ours.part("a"), plain.part("a")
        target.decoder.shared.copy_(bases["a"].lift(source.decoder.shared))
        target.decoder.private.copy_(bases["a"].lift(source.decoder.private))
        target.decoder.intercept.copy_(bases["a"].lift(source.decoder.intercept))
        target.decoder.intercept.add_(bases["a"].centre)
        target.likelihood.load_state_dict(source.likelihood.state_dict())
    found, known = terms_of(ours, rotated), terms_of(plain, cohort)
    torch.testing.assert_close(found["x:a"] + found["outside:a"], known["x:a"])
    torch.testing.assert_close(found["kl:z"], known["kl:z"])
    torch.testing.assert_close(total(found), total(known))
    torch.testing.assert_close(ours.posterior(rotated)[0].mean, plain.posterior(cohort)[0].mean)


def test_a_latent_without_an_analytic_kl_is_refused():
    def model():
        pyro.sample("z", pyro.distributions.Normal(0.0, 1.0))

    def guide():
        pyro.sample("z", pyro.distributions.StudentT(3.0))

    with pytest.raises(NotImplementedError):
        TermsELBO().differentiable_loss(model, guide)


def test_the_guide_never_looks_at_outcomes(make_cohort, make_vae):
    """Labels and times have no way into the posterior: the guide runs without them."""
    cohort = make_cohort(n=12)
    vae = make_vae(cohort)
    read = []

    class Spy(type(cohort)):
        def __getattribute__(self, name):
            read.append(name)
            return super().__getattribute__(name)

    spied = Spy(**{f: getattr(cohort, f) for f in cohort.__dataclass_fields__})
    read.clear()
    pyro.poutine.trace(vae.guide).get_trace(spied, 12)
    assert "views" in read and not {"survival", "labels", "clinical"} & set(read)
