"""One HTML file that can be mailed: text, tables and figures, nothing beside it."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mvlatent._files import replacing
from mvlatent._version import __version__

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Section", "write_report"]


@dataclass(frozen=True)
class Section:
    """One section of a report.

    Parameters
    ----------
    heading
        Its title.
    text
        Plain text; a blank line starts a paragraph. Not read as HTML.
    tables
        DataFrames, shown with their index. A table's ``attrs["caption"]`` is written above it.
    figures
        matplotlib figures, inlined as PNG. A figure's label (``figure.set_label``) becomes its
        alternative text.
    """

    heading: str
    text: str = ""
    tables: "Sequence[pd.DataFrame]" = field(default=())
    figures: "Sequence[Figure]" = field(default=())


def write_report(path: str | Path, *, title: str, sections: Sequence[Section]) -> Path:
    """Write the sections into one self-contained HTML file, whole or not at all.

    Parameters
    ----------
    path
        File to write; its folder is made where missing.
    title
        Title of the page.
    sections
        In order; each heading gets a link at the top.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(f"{folder}/r.html", title="T", sections=[Section("A", "text")])
    ...     "<h2" in page.read_text(encoding="utf-8")
    True
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("mvlatent", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        title=title,
        version=__version__,
        sections=[
            {
                "heading": section.heading,
                "paragraphs": [p.strip() for p in section.text.split("\n\n") if p.strip()],
                "tables": [(t.attrs.get("caption"), _as_html(t)) for t in section.tables],
                "figures": [
                    (_as_png(f), f.get_label() or section.heading) for f in section.figures
                ],
            }
            for section in sections
        ],
    )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as beside:
        beside.write_text(page, encoding="utf-8")
    return target


def _as_html(table: "pd.DataFrame") -> str:
    return table.to_html(border=0, float_format=lambda value: f"{value:.3f}", na_rep="–")


def _as_png(figure: "Figure") -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight", facecolor="white")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
