"""What values are taken for, and the traps among them."""

import numpy as np
import pytest
from scipy import sparse

from mvlatent.data.guess import guess_likelihood

RNG = np.random.default_rng(0)
SHAPE = (60, 8)


def with_gaps(x):
    x = x.astype(float)
    x[::5, 0] = np.nan
    return x


CASES = {
    "bernoulli": [
        RNG.integers(0, 2, SHAPE),
        with_gaps(RNG.integers(0, 2, SHAPE)),
        RNG.integers(0, 2, SHAPE).astype(bool),
        sparse.csr_matrix(RNG.integers(0, 2, SHAPE).astype(float)),
    ],
    "nb": [
        RNG.poisson(5, SHAPE),
        with_gaps(RNG.negative_binomial(1, 0.01, SHAPE)),
        sparse.csr_matrix(RNG.poisson(2.0, SHAPE).astype(np.float32)),
        sparse.csr_matrix(RNG.poisson(2.0, SHAPE).astype(np.float32)) + 0,
    ],
    "ordinal": [
        RNG.integers(-2, 3, SHAPE),
        with_gaps(RNG.integers(-2, 3, SHAPE)),
        RNG.integers(0, 3, SHAPE),  # genotypes
        RNG.integers(1, 11, SHAPE),  # ratings
    ],
    "beta": [RNG.beta(2, 3, SHAPE), with_gaps(RNG.beta(0.6, 0.5, SHAPE))],
    "normal": [
        RNG.normal(size=SHAPE),
        np.rint(RNG.normal(0, 3, SHAPE)),  # rounded scores
        RNG.choice([0.0, 0.25, 0.5, 1.0], SHAPE),  # few distinct shares
        np.where(RNG.random(SHAPE) < 0.3, 0.0, RNG.random(SHAPE)),  # many exact zeros
        RNG.random(SHAPE) * 1.2,
        RNG.choice([0, 40, 100], SHAPE),  # whole numbers, three of them
        RNG.choice([-2, 2], SHAPE),
        np.full(SHAPE, np.nan),
        np.array([["a", "b"]], dtype=object),
    ],
}


@pytest.mark.parametrize(
    ("likelihood", "values"), [(k, v) for k, values in CASES.items() for v in values]
)
def test_guess(likelihood, values):
    found, why = guess_likelihood(values)
    assert found == likelihood, why
    assert why


def test_the_reason_names_the_range():
    assert guess_likelihood(np.array([[-2, 0], [1, -1]]))[1] == "whole numbers from -2 to 1"
