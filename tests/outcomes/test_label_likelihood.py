"""The softmax likelihood, in training and with its intercepts profiled out."""

import pytest
import torch

from mvlatent.data.cohort import LabelData
from mvlatent.outcomes import LABELS, CategoricalOutcome


def logits(n=60, c=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    eta = torch.randn(n, c, generator=g, dtype=torch.float64)
    return eta, torch.distributions.Categorical(logits=eta).sample()


def classes(codes, n):
    return LabelData(codes, tuple("uvwx"[:n]))


def test_registry_names_the_class():
    assert LABELS["categorical"] is CategoricalOutcome


def test_missing_labels_do_not_count():
    eta, codes = logits()
    codes[::4] = -1
    data = classes(codes, 3)
    module = CategoricalOutcome.from_data(data).double()
    value = module.log_prob(eta, data)
    assert (value[::4] == 0).all()
    expected = -torch.nn.functional.cross_entropy(
        (eta + module.intercept)[codes >= 0], codes[codes >= 0], reduction="sum"
    )
    torch.testing.assert_close(value.sum(), expected)
    assert torch.isfinite(torch.autograd.grad(value.sum(), module.intercept)[0]).all()


def test_no_label_is_an_error():
    with pytest.raises(ValueError, match="no label"):
        CategoricalOutcome.from_data(classes(torch.full((5,), -1), 3))
    with pytest.raises(ValueError, match="two classes"):
        one = classes(torch.zeros(5, dtype=torch.long), 1)
        CategoricalOutcome.from_data(one).bind(one)


def test_far_logits_have_finite_gradients():
    eta, codes = logits()
    far = (1e3 * eta.float()).requires_grad_()
    data = classes(codes, 3)
    CategoricalOutcome.from_data(data).log_prob(far, data).sum().backward()
    assert torch.isfinite(far.grad).all()


def test_gradient_is_that_of_the_profile():
    eta, codes = logits()
    data = classes(codes, 3)
    bound = CategoricalOutcome.from_data(data).bind(data)
    here = bound.curvature(eta)
    for i, c in [(0, 0), (7, 1), (30, 2)]:
        step = torch.zeros_like(eta)
        step[i, c] = 1e-5
        slope = (bound.loglik(eta + step) - bound.loglik(eta - step)) / 2e-5
        assert here.grad[i, c].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-7)
    torch.testing.assert_close(here.grad.sum(0), torch.zeros(3).double(), rtol=0, atol=1e-4)


def test_two_classes_have_the_curvature_of_a_logistic_regression():
    eta, codes = logits(c=2)
    data = classes(codes, 2)
    bound = CategoricalOutcome.from_data(data).bind(data)
    low, diag = bound.curvature(eta).low_rank, bound.curvature(eta).diag
    ours = [diag[:, c].diag() - low[c] @ low[c].T for c in (0, 1)]
    contrast = torch.randn(60, generator=torch.Generator().manual_seed(1)).double()
    # moving the logits by +-v/2 moves their difference by v
    size = 1e-3
    move = size * torch.stack([contrast / 2, -contrast / 2], 1)
    values = [bound.loglik(eta + s * move) for s in (1, 0, -1)]
    second = (values[0] - 2 * values[1] + values[2]) / size**2
    mine = sum(contrast @ w @ contrast for w in ours) / 4
    assert -second.item() == pytest.approx(mine.item(), rel=1e-4)


def test_a_class_that_nobody_has_stays_finite():
    _, codes = logits(c=3)
    data = classes(codes, 4)
    module = CategoricalOutcome.from_data(data)
    here = module.bind(data).curvature(torch.zeros(60, 4, dtype=torch.float64))
    assert torch.isfinite(here.grad).all()
    assert torch.isfinite(here.loglik)
    assert torch.isfinite(module.bind(data).log_volume(torch.zeros(60, 4).double()))


def test_the_bend_is_the_second_derivative_of_the_profile():
    eta, codes = logits()
    bound = CategoricalOutcome.from_data(classes(codes, 3)).bind(classes(codes, 3))
    move = torch.randn(60, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    step = 1e-3
    at = [bound.loglik(eta + k * step * move) for k in (-1, 0, 1)]
    curved = -(at[0] - 2 * at[1] + at[2]) / step**2
    torch.testing.assert_close(bound.bend(eta, move), curved, rtol=1e-4, atol=1e-6)
    level = move[:, :1].expand(-1, 3)  # no softmax sees it
    assert float(bound.bend(eta, level)) == pytest.approx(0.0, abs=1e-9)
