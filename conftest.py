"""What a run of the docstrings' examples needs, wherever it begins."""

from importlib import import_module
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def example_mdata():
    """The cohort of the examples: the demo's, with a target and competing causes beside."""
    import numpy as np

    import mvlatent as mv

    mdata = mv.datasets.demo(80)
    patients = np.arange(mdata.n_obs)
    mdata.obs["purity"] = np.random.default_rng(0).uniform(0.3, 0.9, mdata.n_obs)
    mdata.obs["cause"] = np.where(mdata.obs["event"] == 1, 1 + patients % 2, 0)
    return mdata


@pytest.fixture(scope="session")
def example_model(example_mdata):
    """The model of the examples: every role filled, every reading at hand."""
    import mvlatent as mv

    causes = mv.Survival("survival_months", "cause", kind="competing")
    return mv.fit(
        example_mdata,
        views={"rna": "normal", "mut": "bernoulli", "img": "normal"},
        batch="site",
        clinical=["age", "is_female"],
        survival=[("survival_months", "event"), causes],
        labels="subtype",
        targets="purity",
        loadings="ard",
        n_shared=3,
        n_private=2,
        head_blocks=("shared", "private", "clinical"),
        max_epochs=3,
        progress=False,
    )


@pytest.fixture(autouse=True)
def names_of_examples(request) -> None:
    """Give an example the names it uses: ``mv``, ``mdata``, ``model`` and an empty ``folder``."""
    if not isinstance(request.node, pytest.DoctestItem):
        return
    names = request.getfixturevalue("doctest_namespace")
    source = "".join(example.source for example in request.node.dtest.examples)
    names["mv"] = import_module("mvlatent")
    if "mdata" in source:
        names["mdata"] = request.getfixturevalue("example_mdata")
    if "model" in source:
        names["model"] = request.getfixturevalue("example_model")
    if "folder" in source:
        names["folder"] = Path(request.getfixturevalue("tmp_path"))
