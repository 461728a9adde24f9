"""One set of tests over the registry of decoders."""

import pytest
import torch

from mvlatent.vae.decoders import DECODERS

N, K, D, Q, P = 5, 3, 2, 4, 6


def make(name: str, *, seed: int = 0, n_technical: int = Q):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DECODERS[name](K, D, n_technical, P, n_hidden=8)


def inputs(*lead: int, n_technical: int = Q):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(*lead, N, K, generator=generator),
        torch.randn(*lead, N, D, generator=generator),
        torch.randn(N, n_technical, generator=generator),
        torch.randn(n_technical, P, generator=generator),
    )


@pytest.fixture(params=DECODERS)
def name(request) -> str:
    return request.param


@pytest.mark.parametrize("lead", [(), (7,), (2, 3)], ids=str)
@pytest.mark.parametrize("n_technical", [0, Q])
def test_shapes_and_agreement_of_draws(name, lead, n_technical):
    decoder = make(name, n_technical=n_technical)
    randomise(decoder)
    z, w, s, effect = inputs(*lead, n_technical=n_technical)
    eta = decoder(z, w, s, effect)
    assert eta.shape == (*lead, N, P)
    one = tuple(0 for _ in lead)
    torch.testing.assert_close(eta[one], decoder(z[one], w[one], s, effect))


def randomise(decoder):
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))


def test_a_gradient_reaches_every_parameter(name):
    decoder = make(name)
    randomise(decoder)
    z, w, s, effect = (t.requires_grad_() for t in inputs())
    decoder(z, w, s, effect).square().sum().backward()
    named = {**dict(decoder.named_parameters()), "z": z, "w": w, "s": s, "effect": effect}
    for parameter_name, parameter in named.items():
        assert parameter.grad is not None and bool((parameter.grad != 0).any()), parameter_name


def test_starts_as_group_factor_analysis(name):
    decoder = make(name)
    with torch.no_grad():
        decoder.intercept.normal_()
    z, w, s, effect = inputs(4)
    known = z @ decoder.shared + w @ decoder.private + s @ effect + decoder.intercept
    torch.testing.assert_close(decoder(z, w, s, effect), known)


def test_linear_means_linear(name):
    decoder = make(name)
    randomise(decoder)
    z, w, s, effect = inputs()
    zero = decoder(0 * z, w, s, effect)
    twice = decoder(2 * z, w, s, effect) - zero
    assert torch.allclose(twice, 2 * (decoder(z, w, s, effect) - zero), atol=1e-5) is (
        decoder.is_linear
    )


def test_offset_is_what_no_latent_explains(name):
    decoder = make(name)
    z, w, s, effect = inputs()
    torch.testing.assert_close(decoder.offset(s, effect), decoder(0 * z, 0 * w, s, effect))


def test_saved_and_loaded(name):
    decoder, other = make(name), make(name, seed=9)
    randomise(decoder)
    arguments = inputs()
    assert not torch.allclose(decoder(*arguments), other(*arguments))
    other.load_state_dict(decoder.state_dict())
    torch.testing.assert_close(decoder(*arguments), other(*arguments), rtol=0, atol=0)


def test_training_and_evaluation_agree(name):
    decoder, arguments = make(name), inputs()
    randomise(decoder)
    torch.testing.assert_close(decoder.train()(*arguments), decoder.eval()(*arguments))
