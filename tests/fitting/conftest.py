"""Views of normal noise around shared factors, as scores, and their dense algebra."""

import pytest
import torch

from mvlatent.fitting.canonical import canonical_scores
from mvlatent.fitting.shared import Groups, SharedModel
from mvlatent.fitting.surfaces import scores_of


def draw_rows(sizes, n, *, k=2, absent=0.0, private=1.0, seed=0, dtype=torch.float64):
    """Rows of views around k shared and one private factor, and who has them; z."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    z = normal(n, k)
    drawn = torch.rand(n, len(sizes), generator=generator, dtype=dtype)
    presence = drawn >= absent
    presence.scatter_(1, drawn.argmax(1, keepdim=True), True)
    rows = []
    for p, present in zip(sizes, presence.T, strict=True):
        x = z @ normal(k, p) + private * normal(n, 1) @ normal(1, p) + normal(n, p)
        x = x - x[present].mean(0)
        rows.append(torch.where(present[:, None], x, 0.0))
    return rows, presence, z


@pytest.fixture(scope="session")
def make_rows():
    return draw_rows


@pytest.fixture(scope="session")
def make_shared():
    """Return a factory of models before any sweep, of rows as `make_rows` draws them."""

    def make(rows, presence, *, k=2, ridge=3.0, sites=0):
        views = [scores_of(x, present) for x, present in zip(rows, presence.T, strict=True)]
        ridges = [torch.full_like(v.energy, ridge) for v in views]
        groups = None
        if sites:
            design = torch.eye(sites + 1, dtype=rows[0].dtype)[
                torch.arange(len(presence)) % (sites + 1)
            ][:, :sites]
            groups = Groups(design, torch.full((sites,), 0.5, dtype=rows[0].dtype))
        z = canonical_scores(views, ridges, k)
        widths = [x.shape[1] for x in rows]
        return SharedModel(views, ridges, z, groups=groups, widths=widths)

    return make
