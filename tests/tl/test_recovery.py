import numpy as np
import pytest
from scipy.stats import ttest_rel

from mvlatent import sim, tl


def test_rotated_factors_are_recovered_and_noise_is_not():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((300, 4))
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    assert tl.block_recovery(100 * truth @ rotation, truth) > 0.999
    assert tl.block_recovery(rng.standard_normal((300, 4)), truth) < 0.02


def test_recovery_of_noisy_factors_is_their_reliability():
    rng = np.random.default_rng(1)
    truth = rng.standard_normal((4000, 2))
    noisy = truth + rng.standard_normal(truth.shape)
    assert tl.block_recovery(noisy, truth) == pytest.approx(0.5, abs=0.03)


def test_kernel_probe_reads_what_is_coded_nonlinearly():
    rng = np.random.default_rng(2)
    truth = rng.uniform(-2, 2, (300, 1))
    folded = np.column_stack([np.cos(3 * truth), np.sin(3 * truth) * np.abs(truth)])
    kernel = tl.block_recovery(folded, truth, probe="kernel")
    assert kernel > tl.block_recovery(folded, truth) + 0.1


def test_disentanglement_of_the_truth_is_the_identity():
    _, truth = sim.cohort("easy", n=400)
    blocks = {"shared": truth.shared} | {f"private:{v}": w for v, w in truth.private.items()}
    table = tl.disentanglement(blocks, blocks)
    np.testing.assert_allclose(table, np.eye(4), atol=0.05)
    assert list(table.index) == list(table.columns) == [*blocks]


def test_leakage_is_the_mean_over_views():
    _, truth = sim.cohort("easy", n=400)
    assert abs(tl.leakage(sim.oracle(truth), truth.private)) < 0.05
    both = np.column_stack([truth.shared, truth.private["rna"]])
    assert tl.leakage(both, truth.private) == pytest.approx(1 / 3, abs=0.03)


def test_recovery_refuses_rows_that_differ_and_unknown_probes():
    with pytest.raises(ValueError, match="rows differ"):
        tl.block_recovery(np.ones((3, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="ridge, kernel"):
        tl.block_recovery(np.ones((9, 2)), np.ones((9, 2)), probe="mlp")


def test_paired_difference_is_the_paired_t_test():
    rng = np.random.default_rng(3)
    a, b = rng.random((2, 10))
    result = tl.paired_difference(a, b)
    reference = ttest_rel(a, b)
    assert result.mean == pytest.approx((a - b).mean())
    assert result.mean / result.se == pytest.approx(reference.statistic)
    assert (result.lower, result.upper) == pytest.approx(tuple(reference.confidence_interval()))


def test_paired_difference_widens_for_overlapping_training_sets_and_skips_gaps():
    a, b = [0.7, 0.6, 0.9, np.nan], [0.6, 0.6, 0.6, 0.1]
    plain = tl.paired_difference(a, b)
    corrected = tl.paired_difference(a, b, test_train_ratio=0.25)
    assert plain.n == 3
    assert corrected.se / plain.se == pytest.approx(np.sqrt((1 / 3 + 1 / 4) * 3))
    with pytest.raises(ValueError, match="two complete pairs"):
        tl.paired_difference([0.1, np.nan], [0.2, 0.3])
