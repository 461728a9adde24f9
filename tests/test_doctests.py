"""Examples in docstrings find the functions, whichever module a run of them begins with."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_examples_of_a_module_that_has_the_name_of_its_function():
    modules = [f"mvlatent/{name}.py" for name in ("tl/stability", "pl/stability")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules"]
    done = subprocess.run([*command, *modules], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
