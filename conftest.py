"""What a run of the docstrings' examples needs, wherever it begins."""

from importlib import import_module

PACKAGES = ("pl", "sim", "study", "tl")  # where functions have the names of their modules


def pytest_configure(config) -> None:
    """Import the packages first: pytest puts the module in place of the function of its name."""
    if config.getoption("doctestmodules"):
        for name in PACKAGES:
            import_module(f"mvlatent.{name}")
