"""Names of latent blocks."""

import pytest

from mvlatent.posterior import Latents


def test_blocks_by_name(make_cohort, make_vae):
    cohort = make_cohort(n=5)
    latents = Latents(make_vae(cohort), cohort)
    assert latents.blocks("all") == ["shared", "private:a", "private:b", "private:c"]
    assert latents.posterior("all").mean.shape == (5, 3 + 3 * 2)
    assert latents.posterior("private:c").obs_names == cohort.obs_names
    with pytest.raises(KeyError, match=r"private:d.*private:a"):
        latents.posterior("private:d")
