"""What every test may use."""

import os
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real cohorts; the test is skipped where the environment does not name one."""
    folder = os.environ.get("MVLATENT_DATA")
    if not folder:
        pytest.skip("MVLATENT_DATA is not set: no real cohorts to test on")
    if not Path(folder).is_dir():
        pytest.skip(f"MVLATENT_DATA is not a folder: {folder}")
    return Path(folder)
