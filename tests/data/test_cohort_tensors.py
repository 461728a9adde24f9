"""The tensors the model sees: subsets, masks, and batches of rows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvlatent.data.batches import batches
from mvlatent.data.cohort import Cohort, CohortView, Group, LabelData, SurvivalData, TargetData


def cohort(n=6):
    rows = torch.arange(n, dtype=torch.float32)
    present = torch.ones(n, dtype=torch.bool)
    half = present.clone()
    half[0] = False
    x = rows[:, None].repeat(1, 3)
    rna = CohortView(x, present, None, "normal", "view", ("a", "b", "c"), rows * 2, 4)
    img = CohortView(x, half, half[:, None].repeat(1, 3), "normal", "feature", ("a", "b", "c"))
    return Cohort(
        obs_names=tuple(f"p{i}" for i in range(n)),
        views={"rna": rna, "img": img},
        technical=rows[:, None],
        technical_groups=(Group("site", slice(0, 1), "categorical", ("A",)),),
        clinical=torch.zeros(n, 0),
        clinical_names=(),
        outcomes={
            "e": SurvivalData(
                rows + 1, rows % 2, present, entry=rows / 2, stratum=rows.long(), cause=rows.long()
            ),
            "y": LabelData(rows.long(), tuple("uvwxyz")),
        },
    )


@pytest.mark.parametrize(
    "rows", [torch.tensor([4, 1]), np.array([4, 1]), [4, 1]], ids=["tensor", "array", "list"]
)
def test_subset_takes_every_tensor_along(rows):
    part = cohort().subset(rows)
    assert len(part) == 2 and part.obs_names == ("p4", "p1")
    expected = torch.tensor([4.0, 1.0])
    for name in ("rna", "img"):
        assert torch.equal(part.views[name].x[:, 0], expected)
    assert torch.equal(part.views["rna"].residual, expected * 2)
    assert part.views["rna"].observed is None and part.views["img"].observed.shape == (2, 3)
    assert torch.equal(part.technical[:, 0], expected) and part.clinical.shape == (2, 0)
    assert torch.equal(part.survival.time, expected + 1)
    assert torch.equal(part.survival.entry, expected / 2)
    assert torch.equal(part.survival.code, expected)
    assert torch.equal(part.survival.stratum, expected.long())
    assert torch.equal(part.labels.codes, expected.long())
    assert part.views["rna"].n_outside == 4


def test_subset_by_mask_and_without_outcomes():
    whole = cohort()
    assert whole.subset(np.arange(6) > 3).obs_names == ("p4", "p5")
    bare = Cohort(whole.obs_names, whole.views, whole.technical, (), whole.clinical, ()).subset([0])
    assert bare.survival is None and bare.labels is None


def test_presence_and_masked_views():
    whole = cohort()
    assert whole.presence.tolist() == [[True, False]] + [[True, True]] * 5
    masked = whole.mask_views(["img"])
    assert masked.presence.tolist() == [[False, False]] + [[False, True]] * 5
    assert not masked.views["rna"].x.any() and not masked.views["rna"].residual.any()
    assert whole.views["rna"].x.any(), "the cohort itself is unchanged"
    with pytest.raises(KeyError, match=r"no view 'mir'.*rna, img"):
        whole.mask_views(["mir"])


def test_to_moves_every_tensor():
    moved = cohort().to("meta")
    tensors = [moved.technical, moved.clinical, moved.labels.codes]
    for part in (moved.survival, *moved.views.values()):
        tensors += [t for t in vars(part).values() if isinstance(t, torch.Tensor)]
    assert len(tensors) == 15
    assert all(t.device.type == "meta" for t in tensors)


@pytest.mark.parametrize(("n", "size"), [(7, 3), (9, 4), (10, 5), (5, 8), (2, 1), (1, 4)])
def test_batches_cover_each_row_once(n, size):
    parts = list(batches(n, size, torch.Generator().manual_seed(0)))
    assert sorted(torch.cat(parts).tolist()) == list(range(n))
    if n > 1 and size > 1:
        assert min(len(p) for p in parts) > 1
    assert max(len(p) for p in parts) <= size + 1


def test_batches_are_shuffled_and_reproducible():
    def rows(seed):
        return torch.cat(list(batches(50, 8, torch.Generator().manual_seed(seed)))).tolist()

    assert rows(0) == rows(0) and rows(0) != rows(1) and rows(0) != sorted(rows(0))
    assert [len(p) for p in batches(7, 3, drop_one_row=False)] == [3, 3, 1]
    with pytest.raises(ValueError, match="positive"):
        next(batches(0, 3))


def test_a_record_of_outcomes_says_what_is_known():
    time, cause = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0, 1, 2, 1])
    data = SurvivalData(time, (cause > 0).float(), entry=time / 2, cause=cause)
    assert data.observed.all() and data.code.tolist() == [0, 1, 2, 1]
    first = data.of_cause(1)
    assert first.event.tolist() == [0, 1, 0, 1] == first.code.tolist() and first.cause is None
    assert torch.equal(first.entry, data.entry)
    some = replace(data, observed=torch.tensor([True, False, True, True])).known()
    assert some.time.tolist() == [1, 3, 4] and some.cause.tolist() == [0, 2, 1]
    assert some.time.dtype == some.event.dtype == some.entry.dtype == torch.float64
    assert TargetData(time).observed.all()
