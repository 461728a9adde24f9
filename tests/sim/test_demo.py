import numpy as np

from mvlatent import datasets, sim


def test_demo_is_the_demo_preset():
    demo, (expected, _) = datasets.demo(80, seed=2), sim.cohort("demo", n=80, seed=2)
    assert [*demo.mod] == ["rna", "cnv", "mut", "img"]
    for view in demo.mod:
        np.testing.assert_array_equal(demo[view].X, expected[view].X)
    assert len(demo["img"].obs) < 80
