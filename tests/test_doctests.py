"""Examples in docstrings run together, whichever module a run of them begins with."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "modules",
    [["tl/_latent/stability.py", "pl/_latent/stability.py"], ["."]],
    ids=["one first", "all"],
)
def test_examples_run_in_one_session(modules):
    """A module may have the name of its function, which pytest must not put it in place of."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules"]
    places = [str(Path("mvlatent") / module) for module in modules]
    done = subprocess.run([*command, *places], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
