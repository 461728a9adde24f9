"""The examples in the docstrings of the data stage run."""

import doctest
import importlib

import pytest

MODULES = (
    *(
        f"specs.{m}"
        for m in ("views", "outcomes", "survival", "labels", "target", "roles", "typed")
    ),
    *(f"data.{m}" for m in ("assemble", "outcome_data", "targets", "coder")),
    *(
        f"data.{m}"
        for m in (
            "batches",
            "coding",
            "covariates",
            "matrix",
            "names",
            "obs_columns",
            "scaling",
            "strata",
        )
    ),
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"mvlatent.{name}")
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0 and found.failed == 0
