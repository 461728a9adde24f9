import numpy as np
import pytest

from mvlatent import tl


def _patients(n=600, seed=0, lean=0.7):
    """Sites lean on subtypes; latents carry the subtype."""
    rng = np.random.default_rng(seed)
    biology = rng.integers(3, size=n)
    site = np.where(rng.random(n) < lean, biology, rng.integers(3, size=n))
    z = rng.standard_normal((n, 4))
    z[:, :3] += 2 * np.eye(3)[biology]
    return z, site, biology, rng


def test_latents_that_know_only_biology_have_no_excess():
    z, site, biology, _ = _patients()
    audit = tl.site_audit(z, site, biology)
    assert audit.accuracy > audit.chance + 0.2
    assert abs(audit.excess) < 0.05
    assert audit.excess == audit.accuracy - audit.permuted
    assert (audit.n, audit.n_sites, audit.chance) == (600, 3, 1 / 3)


def test_latents_that_carry_the_site_are_caught():
    z, site, biology, _ = _patients(lean=0.3)
    z[:, 3] += 4 * site
    assert tl.site_audit(z, site, biology).excess > 0.3


def test_biology_removed_with_the_site_shows_as_a_negative_excess():
    z, site, biology, _ = _patients()
    centred = z - np.stack([z[site == s].mean(axis=0) for s in range(3)])[site]
    assert tl.site_audit(centred, site, biology).excess < -0.05


def test_without_biology_the_excess_is_over_chance():
    z, site, _, rng = _patients()
    assert abs(tl.site_audit(rng.standard_normal(z.shape), site).excess) < 0.06
    audit = tl.site_audit(z, site)
    assert audit.permuted == pytest.approx(1 / 3, abs=0.05)
    assert audit.inseparable == ()


def test_scale_of_a_latent_does_not_matter():
    z, site, biology, _ = _patients()
    z[:, 3] += 4 * site
    scaled = tl.site_audit(z * [1, 1e4, 1e-4, 1e-3], site, biology, n_permutations=2)
    plain = tl.site_audit(z, site, biology, n_permutations=2)
    assert scaled.accuracy == pytest.approx(plain.accuracy, abs=1e-9)


def test_small_sites_unknown_rows_and_inseparable_sites_are_named():
    z, site, biology, _ = _patients()
    names = np.array([f"site{s}" for s in site], dtype=object)
    names[:3], names[3:6] = "tiny", None
    kinds = np.array([f"type{b}" for b in biology], dtype=object)
    kinds[6:8] = None
    kinds[names == "site2"] = "type2"
    audit = tl.site_audit(z, names, kinds, n_permutations=2)
    assert audit.dropped == ("tiny",)
    assert audit.inseparable == ("site2",)
    assert audit.n == 600 - 3 - 3 - sum(k is None for k in kinds[6:8])


def test_bad_input_is_refused():
    z, site, *_ = _patients(30)
    with pytest.raises(ValueError, match="rows differ"):
        tl.site_audit(z[:5], site)
    with pytest.raises(ValueError, match="fewer than two sites"):
        tl.site_audit(z, np.zeros(30))
    with pytest.raises(ValueError, match="not finite"):
        tl.site_audit(np.full((30, 2), np.nan), site)
