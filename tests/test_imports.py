"""`import mvlatent` and `mvlatent --help` are quick: nothing heavy is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

import mvlatent as mv

HEAVY = [
    "torch",
    "pandas",
    "scvi",
    "mudata",
    "anndata",
    "scanpy",
    "lifelines",
    "matplotlib",
    "pyro",
]


def imported(code: str) -> set[str]:
    """Heavy modules that a fresh interpreter holds after running some code."""
    report = f"import sys; print('\\n', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_import():
    assert imported("import mvlatent; mvlatent.View('normal'); mvlatent.Labels('y')") == set()


def test_specs_need_neither_tensors_nor_tables():
    names = sorted(path.stem for path in Path(mv.__file__).parent.glob("specs/*.py"))
    code = "".join(f"import mvlatent.specs.{name}\n" for name in names if name != "__init__")
    assert names and imported(code) == set()


def test_help():
    code = (
        "from mvlatent.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code"
    )
    assert imported(code) == set()


@pytest.mark.parametrize("name", mv.__all__)
def test_every_public_name_is_there(name):
    assert getattr(mv, name).__doc__ and name in dir(mv)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = mv.fitt
