"""Who has which view, drawn and counted."""

import numpy as np
import pytest

import mvlatent as mv
from mvlatent import pl


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_counts_are_those_of_the_cohort():
    mdata = mv.datasets.demo(80)
    ax = pl.overview(mdata, by="event")
    dead = mdata.obs["event"].to_numpy() == 1
    for name, said in zip(mdata.mod, texts(ax), strict=False):
        has = np.isin(mdata.obs_names, mdata[name].obs_names)
        assert said.split()[0] == str(has.sum())
        assert f"1: {has[dead].mean():.0%}" in said
    assert "with every view" in ax.get_title(loc="left") + ax.get_title()


def test_what_cannot_be_drawn_is_named():
    mdata = mv.datasets.demo(80)
    with pytest.raises(KeyError, match="'evnt'"):
        pl.overview(mdata, by="evnt")
    with pytest.raises(ValueError, match="more than 6"):
        pl.overview(mdata, by="age")
    with pytest.raises(TypeError, match="MuData or an AnnData"):
        pl.overview("cohort.h5mu")


def test_one_table_is_one_view():
    adata = mv.datasets.demo(80)["rna"].copy()
    assert [x.get_text() for x in pl.overview(adata).get_yticklabels()] == ["X"]
