"""What is read off a posterior, against Monte Carlo, finite differences and known shares."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from mvlatent.heads.blocks import head_blocks, head_draws, pick
from mvlatent.posterior import Latents
from mvlatent.reading.impute import predict_view
from mvlatent.reading.linear import jacobian, linear_view
from mvlatent.reading.variance import variance_explained
from mvlatent.vae.basis import Basis, fit_bases, rotate


def same(x):
    return x


def simulate_from(vae, cohort, seed=0):
    """The cohort with values drawn from the model itself, and the latents that made them."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        n = len(cohort)
        z, views, private = torch.randn(n, vae.design.n_shared), {}, {}
        for name, view in cohort.views.items():
            part = vae.part(name)
            w = torch.randn(n, part.design.n_private)
            effect = part.expected_effect()
            x = part.likelihood.draw(part.decoder(z, w, cohort.technical, effect))
            seen = view.present[:, None] if view.observed is None else view.observed
            views[name], private[name] = replace(view, x=torch.where(seen, x, 0.0)), w
    return replace(cohort, views=views), z, private


@pytest.mark.parametrize("encoder", ["exact", "mlp"])
@pytest.mark.parametrize("block", ["shared", "private:b", "all"])
def test_draws_agree_with_moments(make_cohort, make_vae, encoder, block):
    cohort = make_cohort(n=12, n_sites=2, absent=0.3)
    posterior = Latents(make_vae(cohort, encoder=encoder), cohort).posterior(block)
    draws = posterior.sample(6_000, seed=1)
    assert draws.shape == (6_000, *posterior.mean.shape)
    # an amortised private mean bends in z: its summary is at the mean of z
    tight = encoder == "exact" or block == "shared"
    error = (draws.mean(0) - posterior.mean) / posterior.sd
    assert np.abs(error).max() < (0.06 if tight else 1.0)
    np.testing.assert_allclose(draws.std(0), posterior.sd, rtol=0.05 if tight else 0.6)
    np.testing.assert_array_equal(draws, posterior.sample(6_000, seed=1))
    assert not np.array_equal(draws, posterior.sample(6_000, seed=2))


def test_intervals(make_cohort, make_vae):
    cohort = make_cohort(n=9)
    posterior = Latents(make_vae(cohort), cohort).posterior("shared")
    lower, upper = posterior.interval(0.9)
    np.testing.assert_allclose((upper - lower) / posterior.sd, 2 * 1.6448536, rtol=1e-5)
    np.testing.assert_allclose((upper + lower) / 2, posterior.mean, atol=1e-5)
    draws = posterior.sample(4_000)
    inside = ((draws > lower) & (draws < upper)).mean()
    assert inside == pytest.approx(0.9, abs=0.02)
    for level in (0.0, 1.0, 90):
        with pytest.raises(ValueError, match="level"):
            posterior.interval(level)


def test_posteriors_cover_what_the_model_draws(make_cohort, make_vae):
    cohort = make_cohort(n=400, n_sites=2, absent=0.3, holes=("c",))
    vae = make_vae(cohort)
    for part in vae.parts:  # effects are known here
        part.effects.prior_sd.fill_(1e-6)
    drawn, z, private = simulate_from(vae, cohort)
    latents = Latents(vae, drawn)
    for block, truth in [("shared", z), *((f"private:{k}", w) for k, w in private.items())]:
        lower, upper = latents.posterior(block).interval(0.8)
        inside = (truth.numpy() > lower) & (truth.numpy() < upper)
        assert inside.mean() == pytest.approx(0.8, abs=0.045), block
    basis = Basis.fit(drawn.views["a"])
    blind = Latents(vae, drawn.mask_views(["b", "c"]))
    found = predict_view(blind, "a", basis, same, level=0.8)
    present = drawn.views["a"].present.numpy()
    x = drawn.views["a"].x.numpy()
    inside = ((x > found.lower) & (x < found.upper))[present]
    assert inside.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("given", [["b", "c"], ["a", "b"], []], ids=str)
def test_imputation_in_closed_form_is_that_by_draws(make_cohort, make_vae, given):
    cohort = make_cohort(n=8, n_sites=2)
    vae = make_vae(cohort)
    latents = Latents(vae, cohort.mask_views(given))
    part = vae.part("a")
    found = predict_view(latents, "a", Basis.fit(cohort.views["a"]), same, level=0.9)
    with torch.no_grad(), torch.random.fork_rng():
        z, private = latents.draw(8_000, 3)
        torch.manual_seed(4)
        effect = part.effects.posterior(part.weight()).sample((8_000,))
        unknown = cohort.technical.sum(1) == 0
        eta = part.decoder(z, private["a"], cohort.technical, 0 * effect[0])
        eta = eta + cohort.technical @ effect
        eta = eta + unknown[:, None] * 0.7 * torch.randn(8_000, 1, 7)
        x = part.likelihood.draw(eta).numpy()
    np.testing.assert_allclose(found.sd, x.std(0), rtol=0.05)
    assert np.abs((found.mean - x.mean(0)) / found.sd).max() < 0.06
    np.testing.assert_allclose((found.lower - found.mean) / found.sd, -1.645, atol=0.02)
    inside = ((x > found.lower) & (x < found.upper)).mean(0)
    assert np.abs(inside - 0.9).max() < 0.02


def test_intervals_widen_as_views_are_taken_away(make_cohort, make_vae):
    cohort = make_cohort(n=8, n_sites=2)
    vae, basis = make_vae(cohort), Basis.fit(cohort.views["a"])
    sd = [
        predict_view(Latents(vae, cohort.mask_views(given)), "a", basis, same).sd
        for given in (["a", "b", "c"], ["b", "c"], ["b"], [])
    ]
    for more, less in pairwise(sd):
        assert (less > more - 1e-5).all() and (less > more + 1e-4).any()


def test_a_curved_inverse_is_integrated(make_cohort, make_vae):
    """Moments of exp(x) are those of a log-normal; quantiles go straight through."""
    cohort = make_cohort(n=5)
    vae = make_vae(cohort)
    latents, basis = Latents(vae, cohort), Basis.fit(cohort.views["b"])
    plain = predict_view(latents, "b", basis, same, level=0.8)
    curved = predict_view(latents, "b", basis, lambda x: np.exp(0.3 * x), level=0.8)
    variance = (0.3 * plain.sd) ** 2
    mean = np.exp(0.3 * plain.mean + variance / 2)
    np.testing.assert_allclose(curved.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(curved.sd, mean * np.sqrt(np.expm1(variance)), rtol=1e-3)
    np.testing.assert_allclose(curved.upper, np.exp(0.3 * plain.upper), rtol=1e-5)


@pytest.mark.parametrize("likelihood", ["studentt", "bernoulli"])
def test_imputation_by_draws(make_cohort, make_vae, likelihood):
    cohort = make_cohort(n=6, likelihoods={"a": likelihood})
    vae = make_vae(cohort)
    latents, basis = Latents(vae, cohort.mask_views(["b"])), Basis.fit(cohort.views["a"])
    found = predict_view(latents, "a", basis, same, level=0.9, n_samples=3_000)
    with torch.no_grad():
        z, private = latents.draw(20_000, 5)
        part = vae.part("a")
        eta = part.decoder(z, private["a"], cohort.technical, part.expected_effect())
        mean = part.likelihood.mean(eta).mean(0).numpy()
    np.testing.assert_allclose(found.mean, mean, atol=0.25 if likelihood == "studentt" else 0.03)
    assert (found.lower <= found.upper).all()
    if likelihood == "bernoulli":
        np.testing.assert_allclose(found.sd, np.sqrt(found.mean * (1 - found.mean)), rtol=1e-5)
    again = predict_view(latents, "a", basis, same, level=0.9, n_samples=3_000)
    np.testing.assert_array_equal(found.mean, again.mean)


@pytest.mark.parametrize("decoder", ["linear", "additive", "mlp"])
@pytest.mark.parametrize("block", ["shared", "private"])
def test_loadings_are_derivatives(double, make_cohort, make_vae, decoder, block):
    cohort = make_cohort(n=9, n_sites=2)
    vae = make_vae(cohort, decoder=decoder)
    latents, part = Latents(vae, cohort), vae.part("b")
    found = jacobian(latents, "b", Basis.fit(cohort.views["b"]), block)
    z, w, h = latents.z.mean, latents.private_means["b"], 1e-5
    with torch.no_grad():
        for j in range(found.shape[0]):
            step = torch.zeros(found.shape[0])
            step[j] = h
            up, down = (
                part.decoder(
                    z + s * step * (block == "shared") if block == "shared" else z,
                    w + s * step if block == "private" else w,
                    cohort.technical,
                    part.expected_effect(),
                )
                for s in (1, -1)
            )
            known = ((up - down) / (2 * h)).mean(0)
            torch.testing.assert_close(found[j], known, atol=1e-6, rtol=1e-5)


def test_rotation_is_undone_on_the_way_out(make_cohort, make_vae):
    cohort = make_cohort({"a": 40, "b": 5}, n=15, noise="view")
    bases = fit_bases(cohort)
    rotated = rotate(cohort, bases)
    ours, plain = make_vae(rotated), make_vae(cohort)
    linear = linear_view(ours, "a", bases["a"])
    with torch.no_grad():
        part = plain.part("a")
        part.decoder.shared.copy_(linear.shared)
        part.decoder.private.copy_(linear.private)
        part.decoder.intercept.copy_(linear.intercept)
        part.likelihood.load_state_dict(ours.part("a").likelihood.state_dict())
    plain.part("b").load_state_dict(ours.part("b").state_dict())
    unrotated = {**bases, "a": replace(bases["a"], rotated=False)}
    both = [(ours, rotated, bases), (plain, cohort, unrotated)]
    for given in (["a", "b"], ["b"]):
        found, known = (
            predict_view(Latents(v, c.mask_views(given)), "a", b["a"], same, level=0.9)
            for v, c, b in both
        )
        np.testing.assert_allclose(found.mean, known.mean, atol=2e-3)
        np.testing.assert_allclose(found.upper, known.upper, atol=2e-3)
    one, other = (jacobian(Latents(v, c), "a", b["a"], "shared") for v, c, b in both)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    one, other = (variance_explained(Latents(v, c))[0].loc["all", "b"] for v, c, _ in both)
    assert one == pytest.approx(other, abs=1e-3)


def test_shares_of_variance_are_those_that_were_simulated(make_cohort, make_vae):
    """Orthogonal loadings of known size: shared, private and site shares are known."""
    cohort = make_cohort({"a": 60}, n=600, n_sites=3)
    vae = make_vae(cohort, n_shared=1, n_private=1)
    part = vae.part("a")
    sizes = {"shared": 2.0, "private": 1.5, "technical": 0.0}
    with torch.no_grad():
        half = torch.arange(60) < 30
        part.decoder.shared.copy_(sizes["shared"] * half[None])
        part.decoder.private.copy_(sizes["private"] * ~half[None])
        part.effects.loc.zero_()
        part.likelihood.start(torch.full((60,), 1.0))
        part.effects.prior_sd.fill_(1e-6)
    drawn, _, _ = simulate_from(vae, cohort)
    blocks, factors = variance_explained(Latents(vae, drawn))
    total = (sizes["shared"] ** 2 + sizes["private"] ** 2) / 2 + 1.0
    for block, size in sizes.items():
        assert blocks.loc[block, "a"] == pytest.approx(size**2 / 2 / total, abs=0.03), block
    assert blocks.loc["all", "a"] == pytest.approx(1 - 1 / total, abs=0.03)
    assert factors.loc["shared_0", "a"] == pytest.approx(blocks.loc["shared", "a"])
    assert factors.loc["private:a_0", "a"] == pytest.approx(blocks.loc["private", "a"])


def test_head_blocks_of_absent_views_are_decoded(make_cohort, make_vae):
    cohort = make_cohort(n=20, n_sites=2, absent=0.4)
    vae, bases = make_vae(cohort), fit_bases(cohort)
    latents = Latents(vae, cohort)
    blocks = head_blocks(latents, bases)
    views = [f"{kind}:{v}" for kind in ("private", "scores") for v in "abc"]
    assert list(blocks) == ["shared", *views, "technical"]  # no clinical column: no such block
    for name, basis in bases.items():
        view, part = cohort.views[name], vae.part(name)
        found = blocks[f"scores:{name}"]
        torch.testing.assert_close(found[view.present], basis.scores(view)[view.present])
        with torch.no_grad():
            nothing = torch.zeros(len(cohort), 2)
            eta = part.decoder(latents.z.mean, nothing, cohort.technical, part.expected_effect())
            decoded = (eta - basis.centre) @ basis.directions
        torch.testing.assert_close(found[~view.present], decoded[~view.present])
        assert bool((blocks[f"private:{name}"][~view.present] == 0).all())
    drawn = head_draws(latents, bases, blocks, 4_000, 1)
    for name, x in drawn.items():
        assert x.shape == (4_000, *blocks[name].shape)
        spread = x.std(0).clamp_min(1e-6)
        assert ((x.mean(0) - blocks[name]).abs() / spread.clamp_min(0.02)).max() < 0.12, name
    absent = ~cohort.views["a"].present
    assert bool((drawn["scores:a"].std(0)[~absent] < 1e-5).all())
    assert bool((drawn["scores:a"].std(0)[absent] > 0.1).all())


def test_picking_blocks():
    blocks = {"shared": 1, "private:a": 2, "private:b": 3, "clinical": 4}
    assert list(pick(blocks, ["private"])) == ["private:a", "private:b"]
    assert list(pick(blocks, ["clinical", "private:b"])) == ["private:b", "clinical"]
    with pytest.raises(KeyError, match="genes"):
        pick(blocks, ["genes"])


def test_draws_in_chunks_say_what_draws_at_once_say(fitted, monkeypatch):
    """Each chunk has draws of its own, so that they agree as far as draws do."""
    options = {"interval": 0.8, "n_samples": 2000}
    whole = fitted.impute("mut", **options)
    features = len(whole.mean.columns)
    monkeypatch.setattr("mvlatent.reading.impute.MAX_ELEMENTS", 7 * 2000 * features)
    parts = fitted.impute("mut", **options)
    assert parts.mean.index.equals(whole.mean.index) and len(whole.mean) % 7
    for one, other in ((parts.mean, whole.mean), (parts.upper, whole.upper)):
        assert np.abs(one - other).to_numpy().max() < 0.1
    assert not parts.mean.equals(whole.mean)
