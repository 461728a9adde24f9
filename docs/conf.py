"""How the site is built: ``sphinx-build -W -b html docs docs/_build/html``.

Nothing is fetched and nothing is executed: notebooks are shown with the outputs they were committed
with. Tutorials and tables of results stay where they are in the repository; they are copied beside
the pages before a build (`copied`), so that each exists once.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version as installed
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert as latex_to_mathml
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxTranslator

HERE = Path(__file__).parent
ROOT = HERE.parent
FOLDERS = ("tl", "pl", "sim", "study", "datasets", "objectives")
NAMESPACES = ("mvlatent", *(f"mvlatent.{name}" for name in FOLDERS))

project = "mvlatent"
author = copyright = "mvlatent developers"
release = version = installed("mvlatent")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "releasing.md"]  # the last is for maintainers
templates_path = ["_templates"]

# --- pages in Markdown and notebooks ----------------------------------------------------------

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
nb_mime_priority_overrides = [("html", "text/plain", 100)]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# --- reference --------------------------------------------------------------------------------

default_role = "py:obj"
suppress_warnings = ["ref.python"]  # a word such as `lower` is a field of several results
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 72
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def file_names() -> dict[str, str]:
    """File of each name that differs from another in its capitals only, as `Path` and `path` do."""
    names = [f"{place}.{name}" for place in NAMESPACES for name in import_module(place).__all__]
    often = Counter(name.lower() for name in names)
    classes = [n for n in names if often[n.lower()] > 1 and n.rpartition(".")[2][0].isupper()]
    return {name: f"{name}-class" for name in classes}


autosummary_filename_map = file_names()

# --- looks ------------------------------------------------------------------------------------

html_theme = "sphinx_book_theme"
html_math_renderer = "mathml"
html_title = "mvlatent"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "home_page_in_toc": False,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "use_repository_button": False,
}

# --- what is kept elsewhere in the repository --------------------------------------------------

LINKS = {  # as they read in the repository, and where the page is on the site
    r"\.\./((?:\.\./)*tutorials/\w+\.ipynb)": r"\1",
    r"\.\./((?:\.\./)*)benchmarks/results/(\w+)(?:/table)?\.md": r"\1results/\2.md",
    r"\.\./((?:\.\./)*)benchmarks/README\.md": r"\1results/how_to.md",
    r"\.\./docs/(\w+\.md)": r"../\1",
}


def copied() -> None:
    """Copy tutorials and tables of results beside the pages, where they differ."""
    tables = {p.parent.name: p for p in ROOT.glob("benchmarks/results/*/table.md")}
    tables |= {p.stem: p for p in ROOT.glob("benchmarks/results/*.md")}
    if (how := ROOT / "benchmarks" / "README.md").exists():
        tables["how_to"] = how
    files = {HERE / "tutorials" / p.name: p.read_text("utf-8") for p in tutorials()}
    for name, path in tables.items():
        text = path.read_text("utf-8")
        title = "" if text.startswith("# ") else f"# {name.replace('_', ' ').capitalize()}\n\n"
        files[HERE / "results" / f"{name}.md"] = title + text
    for folder in ("tutorials", "results"):
        (HERE / folder).mkdir(exist_ok=True)
        for path in (HERE / folder).iterdir():
            if path not in files:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path, text in files.items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def tutorials() -> list[Path]:
    """Notebooks of the repository."""
    return sorted((ROOT / "tutorials").glob("*.ipynb"))


def redirect(app: Sphinx, docname: str, source: list[str]) -> None:
    """Point links to the copies."""
    for pattern, place in LINKS.items():
        source[0] = re.sub(pattern, place, source[0])


def formula(display: str) -> tuple[Callable[[SphinxTranslator, nodes.math], None], None]:
    """Formulas as MathML, which browsers draw without a script from elsewhere."""

    def visit(translator: SphinxTranslator, node: nodes.math) -> None:
        translator.body.append(latex_to_mathml(node.astext(), display=display))
        raise nodes.SkipNode

    return visit, None


def setup(app: Sphinx) -> None:
    """Copy before anything is read."""
    copied()
    app.connect("source-read", redirect)
    app.add_html_math_renderer("mathml", formula("inline"), formula("block"))
