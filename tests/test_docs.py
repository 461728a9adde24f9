"""The site: every public name is in its reference, and it builds offline without a warning."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import mvlatent as mv

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PLACES = ("mvlatent", *(f"mvlatent.{name}" for name in mv._FOLDERS))
NEEDED = ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx_copybutton", "latex2mathml")
ELSEWHERE = re.compile(r"""<(script|img|iframe|link rel="stylesheet")[^>]*(src|href)="https?:""")
NOTEBOOKS = sorted([*(DOCS / "start").glob("*.ipynb"), *(ROOT / "tutorials").glob("*.ipynb")])


def listed() -> set[str]:
    """Names on the pages of the reference, with the module that they are listed under."""
    names = set()
    for page in (DOCS / "api").glob("*.md"):
        for block in re.findall(r"```{eval-rst}\n(.*?)```", page.read_text("utf-8"), re.S):
            module = re.search(r"currentmodule:: (\S+)", block)[1]
            names |= {f"{module}.{name}" for name in re.findall(r"^   ([\w.]+)$", block, re.M)}
            names |= {f"{module}.{name}" for name in re.findall(r"py:data:: (\w+)", block)}
    return names


def of_model() -> set[str]:
    """Methods and properties that the package itself gives to the model."""
    names = set()
    for name in dir(mv.MVLatent):
        member = inspect.getattr_static(mv.MVLatent, name)
        member = getattr(member, "__func__", getattr(member, "fget", member))
        module = str(getattr(member, "__module__", ""))
        ours = module.startswith("mvlatent") and not module.endswith(".scvi")
        names |= {name} if ours and not name.startswith("_") else set()
    return names


@pytest.mark.parametrize("place", PLACES)
def test_every_public_name_is_in_the_reference(place):
    public = {f"{place}.{name}" for name in importlib.import_module(place).__all__}
    missing = public - listed() - set(PLACES)
    assert not missing, f"list {sorted(missing)} on a page of docs/api."


def test_every_method_of_the_model_is_in_the_reference():
    missing = {f"mvlatent.MVLatent.{name}" for name in of_model()} - listed()
    assert not missing, f"list {sorted(missing)} on docs/api/model.md."


@pytest.mark.parametrize("name", sorted(listed()))
def test_what_is_in_the_reference_is_there_and_says_what_it_is(name):
    place = re.match(r"mvlatent(\.[a-z]+)*(?=\.)", name)[0]
    found = importlib.import_module(place)
    for part in name.removeprefix(f"{place}.").split("."):
        found = getattr(found, part)
    assert found.__doc__


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_were_executed_in_order_and_hold_no_path(path):
    text = path.read_text("utf-8")
    cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
    assert not re.search(r"/(work|tmp|root|home|Users)/", text)


@pytest.mark.parametrize("path", sorted((DOCS / "start").glob("*.ipynb")), ids=lambda p: p.stem)
def test_the_first_figure_takes_ten_lines(path):
    lines = 0
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] != "code" or "remove-cell" in cell["metadata"].get("tags", []):
            continue
        lines += sum(bool(line.strip()) for line in cell["source"])
        if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            break
    assert lines <= 10


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    """Offline too: a proxy that is not there answers whoever asks the network."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install -c constraints.txt '.[docs]'")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*build, "-d", tmp_path / "doctrees", DOCS, tmp_path / "html"],
        cwd=ROOT,
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "html").rglob("*.html"):
        loaded = ELSEWHERE.search(page.read_text("utf-8"))
        assert not loaded, f"{page.name} reads {loaded[0]} from elsewhere."
    pages = {path.name for path in (tmp_path / "html").rglob("*.html")}
    assert {"index.html", "pathologist.html", "separation.html", "glossary.html"} <= pages
    assert "mvlatent.MVLatent.impute.html" in pages


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(path.stem for path in (DOCS / "start").glob("*.ipynb")))
def test_a_start_page_runs_as_it_is_shown(page, tmp_path):
    cells = json.loads((DOCS / "start" / f"{page}.ipynb").read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    plain = "\n".join(line for cell in code for line in cell.splitlines() if line[:1] != "%")
    done = subprocess.run(
        [sys.executable, "-c", plain],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
