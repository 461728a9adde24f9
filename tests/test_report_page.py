import base64
import re

import matplotlib.pyplot as plt
import pandas as pd

from mvlatent.report import Section, write_report


def test_report_is_one_file_with_everything_in_it(tmp_path):
    figure, ax = plt.subplots()
    ax.plot([0, 1])
    figure.set_label("a line")
    table = pd.DataFrame({"C": [0.71234, None]}, index=["ridge", "<ours>"])
    table.attrs["caption"] = "Concordance"
    page = write_report(
        tmp_path / "deep" / "report.html",
        title="A & B",
        sections=[
            Section("First", "One paragraph.\n\nAnother with <b>.", tables=[table]),
            Section("Second", figures=[figure]),
        ],
    )
    plt.close(figure)
    text = page.read_text(encoding="utf-8")
    assert "<title>A &amp; B</title>" in text
    assert "Another with &lt;b&gt;." in text
    assert "&lt;ours&gt;" in text
    assert "0.712" in text
    assert "Concordance" in text
    assert text.count("<p>") == 2
    assert re.findall(r'href="#(s\d)"', text) == re.findall(r'<h2 id="(s\d)"', text) == ["s1", "s2"]
    png = re.search(r'src="data:image/png;base64,([^"]+)" alt="a line"', text).group(1)
    assert base64.b64decode(png).startswith(b"\x89PNG")
    assert not re.search(r'(src|href)="(?!data:|#)', text)
