"""Alignment of two views: closed forms, best where they agree, worse where rows are mixed."""

import math

import numpy as np
import pytest
import torch

from mvlatent.objectives import Alignment
from mvlatent.objectives.alignment import ALIGNMENTS

kinds = pytest.mark.parametrize("kind", ALIGNMENTS)


def misfit(kind, a, b, both=None, **options):
    both = torch.ones(len(a), dtype=torch.bool) if both is None else both
    return ALIGNMENTS[kind](a, b, both, Alignment(kind=kind, **options))


@pytest.fixture
def views(double):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(60, 3, generator=generator)
    return z, z + 0.5 * torch.randn(60, 3, generator=generator)


@kinds
def test_equal_views_are_best_and_mixed_rows_worse(views, kind):
    a, b = views
    best, noisy = misfit(kind, a, a), misfit(kind, a, b)
    mixed = misfit(kind, a, a.roll(1, 0))
    assert float(best) < float(noisy) < float(mixed)
    if kind in ("cosine", "cca"):
        assert float(best) == pytest.approx(0.0, abs=1e-6)


def test_barlow_of_uncorrelated_dimensions_is_zero(double):
    q, _ = torch.linalg.qr(torch.randn(50, 4) - 0.0)
    a = torch.linalg.qr(q - q.mean(0)).Q
    assert float(misfit("barlow", a, 3 * a)) == pytest.approx(0.0, abs=1e-5)
    assert float(misfit("barlow", a, -a)) == pytest.approx(4.0, abs=1e-4)
    swapped = misfit("barlow", a, a.flip(1), off_diagonal=0.5)  # 4 zeros, 4 ones beside them
    assert float(swapped) == pytest.approx((4 + 0.5 * 4) / 4, abs=1e-4)


def test_infonce_of_orthogonal_patients(double):
    """Each patient an axis: cosines are 1 with itself, 0 with others."""
    eye = torch.eye(6)
    known = math.log(math.exp(5.0) + 5) - 5.0
    assert float(misfit("infonce", eye, 7 * eye, temperature=0.2)) == pytest.approx(known)
    shifted = math.log(math.exp(5.0) + 5)
    assert float(misfit("infonce", eye, eye.roll(1, 0))) == pytest.approx(shifted)


def test_infonce_against_a_loop(views):
    a, b = views
    unit = [x / x.norm(dim=1, keepdim=True) for x in (a, b)]
    total = 0.0
    for i in range(60):
        for x, y in (unit, unit[::-1]):
            cosines = y @ x[i] / 0.4
            total += float(cosines.exp().sum().log() - cosines[i]) / 2
    assert float(misfit("infonce", a, b, temperature=0.4)) == pytest.approx(total / 60)


def test_cca_holds_the_canonical_correlations(views):
    a, b = views
    b = b @ torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    bases = [np.linalg.qr(np.asarray(x - x.mean(0)))[0] for x in (a, b)]
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    both = torch.ones(60, dtype=torch.bool)
    from mvlatent.objectives.alignment import _centred, _whitened

    left, right, count = _centred(a, b, both)
    found = torch.linalg.svdvals(_whitened(left, count).mT @ _whitened(right, count) / count)
    np.testing.assert_allclose(found, correlations, rtol=1e-3)


def test_cosine_of_known_angles(double):
    a = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    b = torch.tensor([[0.0, 3.0], [1.0, 0.0], [0.0, -1.0]])
    assert float(misfit("cosine", a, b)) == pytest.approx((1 + 0 + 2) / 3)


@kinds
def test_only_patients_with_both_views_count(views, kind):
    a, b = (x.clone() for x in views)
    both = torch.arange(60) % 3 > 0
    known = misfit(kind, a[both], b[both])
    a[~both], b[~both] = 1e3, -1e3
    torch.testing.assert_close(misfit(kind, a, b, both), known)


@kinds
def test_dimensions_switched_off_do_not_count(views, kind):
    off = torch.zeros(60, 2)
    known = misfit(kind, *views)
    found = misfit(kind, *(torch.cat([x[:, :2], off, x[:, 2:]], 1) for x in views))
    torch.testing.assert_close(found, known, rtol=1e-3, atol=1e-4)


@kinds
def test_descent_finds_the_agreement(double, kind):
    torch.manual_seed(0)
    a, b = torch.randn(30, 2), torch.randn(30, 2, requires_grad=True)
    optimizer = torch.optim.Adam([b], lr=0.1)
    before = float(misfit(kind, a, b.detach()))
    for _ in range(150):
        optimizer.zero_grad()
        misfit(kind, a, b).backward()
        optimizer.step()
    after, best = float(misfit(kind, a, b.detach())), float(misfit(kind, a, a))
    assert after - best < 0.2 * (before - best)
