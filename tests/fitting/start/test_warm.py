"""A model started at another one's weights is that model, in whatever basis its views are."""

from dataclasses import replace

import pytest
import torch

from mvlatent.fitting.start.warm import warm_weights
from mvlatent.vae.basis import fit_bases, rotate


def test_same_shape_same_model(make_cohort, make_vae):
    cohort = make_cohort(n_sites=2, absent=0.2, likelihoods={"b": "bernoulli"})
    bases = fit_bases(cohort)
    source, vae = (make_vae(cohort, seed=seed, encoder="mlp") for seed in (0, 1))
    warm_weights(vae, source, bases, bases, cohort)
    for part in source.parts:
        present = cohort.technical[cohort.views[part.design.name].present]
        part.effects.energy.copy_(present.square().sum(0))
    for name, value in source.state_dict().items():
        torch.testing.assert_close(vae.state_dict()[name], value)


def test_a_rotated_view_is_carried_to_the_new_basis(double, make_cohort, make_vae):
    """Both bases span the features here, so that nothing is lost on the way."""
    first = make_cohort({"a": 12, "b": 4}, n=12, noise="view", n_sites=2)
    second = make_cohort({"a": 12, "b": 4}, n=12, noise="view", n_sites=2, seed=3)
    bases = []
    for cohort in (first, second):
        found = fit_bases(cohort)
        centre = cohort.views["a"].x.mean(0)
        turn = torch.linalg.qr(torch.randn(12, 12)).Q
        found["a"] = replace(found["a"], centre=centre, directions=turn, rotated=True)
        found["b"] = replace(found["b"], directions=found["b"].directions.double())
        bases.append(found)
    there, here = (rotate(second, basis) for basis in bases)
    source = make_vae(there)
    vae = make_vae(here, seed=1)
    warm_weights(vae, source, bases[1], bases[0], here)
    for part in source.parts:
        part.effects.energy.copy_(second.technical.square().sum(0))
    torch.testing.assert_close(vae.posterior(here)[0].mean, source.posterior(there)[0].mean)
    z, w = torch.randn(12, 3), torch.randn(12, 2)
    eta = []
    for model, cohort, basis in ((vae, here, bases[1]), (source, there, bases[0])):
        part = model.part("a")
        rows = part.decoder(z, w, cohort.technical, part.effects.loc)
        eta.append(basis["a"].lift(rows) + basis["a"].centre)
    torch.testing.assert_close(*eta)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ({"a": 7, "b": 5, "c": 4}, {"n_shared": 4}, "n_shared is 3 there and 4 here"),
        ({"a": 7, "b": 5, "c": 4}, {"decoder": "mlp"}, "decoder is 'linear' there and 'mlp'"),
        ({"a": 7, "b": 5, "c": 4}, {"encoder": "mlp"}, "encoder_kind is 'exact' there and 'mlp'"),
        ({"a": 7, "b": 5, "c": 4}, {"effects": "free"}, "effects is 'random' there and 'free'"),
        ({"a": 7, "b": 5, "c": 4}, {"n_private": 1}, "n_private of view 'a' is 2 there and 1 here"),
        ({"a": 7, "b": 5}, {}, "the views are a, b, c there and a, b here"),
        ({"a": 7, "b": 6, "c": 4}, {}, "view 'b' has 5 features there and 6 here"),
    ],
)
def test_what_differs_is_named(make_cohort, make_vae, sizes, options, message):
    source_cohort, cohort = make_cohort(), make_cohort(sizes)
    source, vae = make_vae(source_cohort), make_vae(cohort, **options)
    with pytest.raises(ValueError, match=message):
        warm_weights(vae, source, fit_bases(cohort), fit_bases(source_cohort), cohort)


def test_a_network_is_not_carried_to_another_rotation(make_cohort, make_vae):
    cohorts = [make_cohort({"a": 30, "b": 5}, n=15, noise="view", seed=s) for s in (0, 1)]
    bases = [fit_bases(cohort) for cohort in cohorts]
    rotated = [rotate(c, b) for c, b in zip(cohorts, bases, strict=True)]
    source, vae = (make_vae(c, encoder="mlp") for c in rotated)
    with pytest.raises(ValueError, match="view 'a' is rotated"):
        warm_weights(vae, source, bases[1], bases[0], rotated[1])


def test_what_is_held_stays_held(make_cohort, make_vae):
    cohort = make_cohort(n_sites=2)
    source, vae = make_vae(cohort), make_vae(cohort, seed=1)
    source.part("a").effects.loc.requires_grad_(False)
    warm_weights(vae, source, *2 * (fit_bases(cohort),), cohort)
    assert [part.effects.loc.requires_grad for part in vae.parts] == [False, True, True]
