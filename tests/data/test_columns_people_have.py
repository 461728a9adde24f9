"""Columns of obs as people have them: read rightly, or refused in a sentence that mends them."""

import json
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mvlatent as mv
from mvlatent.data.coding import code_labels, code_survival
from mvlatent.data.column_kinds import check_covariate
from mvlatent.data.covariates import Encoder, fit_encoder
from mvlatent.data.events import as_binary
from mvlatent.data.labels import LabelCoder
from mvlatent.data.obs_columns import are_numbers_in_words, as_numbers, as_text
from mvlatent.data.survival import SurvivalCoder
from mvlatent.data.targets import TargetCoder, target_levels
from mvlatent.specs import Labels, Survival, Target

WORDS = ["[Not Available]", "[Discrepancy]", "[Unknown]", "[Not Applicable]", "[Not Evaluated]"]
WORDS += ["[Completed]", "--", "'--", "not reported", "Not Reported", "nan", "NA", "", "<NA>", " "]
AMONG_NUMBERS = [*WORDS, "unknown", "Unknown", "None", "none"]
QUICK = settings(max_examples=150, deadline=None, derandomize=True, database=None)
LINE = re.compile(r"(import pandas as pd; |mdata\.obs\[\"(?:[^\"\\]|\\.)*\"\] = ).*")


def pasted(message, column):
    """What a column is after the line of an error was pasted."""
    found = LINE.search(message)
    assert found, f"no line to paste: {message}"
    patients = SimpleNamespace(obs=pd.DataFrame({column.name: column}))
    exec(found[0], {"mdata": patients})  # in a session of its own
    return patients.obs[column.name]


def is_a_sentence(error, name):
    message = str(error.args[0])
    assert name in message and (message.endswith(".") or LINE.search(message)), message
    return message


def taken(column, role):
    """A column as registration and the fit take it."""
    check_covariate(column, role, f"{role} covariate {str(column.name)!r}")
    return fit_encoder(column, role)


# --- containers -----------------------------------------------------------------------------------


def of_words(values, words):
    """Text, with a word of its own in each gap."""
    gaps = iter(words * len(values))
    return [next(gaps) if v is None else str(v) for v in values]


def of_objects(values, words):
    return pd.Series(np.array([*values, None], dtype=object)[:-1])


CONTAINERS = {
    "numbers": lambda v, w: pd.Series([np.nan if x is None else x for x in v]),
    "nullable": lambda v, w: pd.array(v, dtype="Float64"),
    "objects": of_objects,
    "text": of_words,
    "spaces": lambda v, w: [f" {x} " for x in of_words(v, w)],
    "category of text": lambda v, w: pd.Categorical(of_words(v, w)),
    "category of numbers": lambda v, w: pd.Categorical(v),
    "strings": lambda v, w: pd.array(of_words(v, w), dtype="string"),
}


def column_of(container, values, words, name="x"):
    return pd.Series(CONTAINERS[container](values, words), name=name)


whole = st.integers(0, 120)
decimal = st.integers(-4000, 4000).map(lambda n: n / 8)
gaps = st.lists(st.booleans(), min_size=24, max_size=24)


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["clinical", "technical"])
def test_numbers_stay_numbers(role):
    """However they are written, whatever the word for a missing one: the same matrix."""
    tried = set()

    @QUICK
    @given(
        numbers=st.one_of(*(st.lists(n, min_size=24, max_size=24) for n in (whole, decimal))),
        gap=gaps,
        words=st.lists(st.sampled_from(AMONG_NUMBERS), min_size=1, max_size=4),
        container=st.sampled_from(list(CONTAINERS)),
    )
    def check(numbers, gap, words, container):
        known = [n for n, g in zip(numbers, gap, strict=True) if not g]
        if len(set(known)) <= 5:
            return
        values = [None if g else n for n, g in zip(numbers, gap, strict=True)]
        column = column_of(container, values, words)
        before = column.copy()
        encoder, _ = taken(column, role)
        plain = pd.Series(np.array(values, dtype=float), name="x")
        np.testing.assert_array_equal(as_numbers(column, "x"), plain)
        assert encoder is not None and encoder.kind == "continuous" and encoder.missing == sum(gap)
        assert encoder.columns == (("x", "x (missing)") if any(gap) else ("x",))
        found = encoder.encode(column)
        np.testing.assert_array_equal(found, taken(plain, role)[0].encode(plain))
        filled = plain.fillna(plain.median())
        expected = (filled - filled.mean()) / filled.std(ddof=0)
        np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
        assert Encoder.from_dict(json.loads(json.dumps(encoder.to_dict()))) == encoder
        for word in words:  # a new patient of whom nothing is known
            alone = encoder.encode(pd.Series([word], name="x"))
            assert np.isfinite(alone).all()
        pd.testing.assert_series_equal(column, before)
        tried.add((container, tuple(values), tuple(words)))

    check()
    print(f"columns of numbers tried, {role}: {len(tried)}")
    assert len(tried) >= 60


def test_bounds_and_codes():
    ages = pd.Series(["61", ">89", "54", "90+", "[Not Available]", "47", "70", "33"], name="age")
    encoder, notes = taken(ages, "clinical")
    assert encoder.columns == ("age", "age (missing)")
    assert any("'90+', '>89' taken as the bound" in note for note in notes)
    with pytest.raises(ValueError, match="'>60', which is not a number"):
        code_survival(pd.DataFrame({"t": ["3", ">60"], "e": [1, 0]}), Survival("t", "e"))
    assert not are_numbers_in_words(pd.Series(["01", "02", "10"]))
    assert as_text(pd.Series(["1.0", "2.00", "x"])).tolist() == ["1", "2", "x"]


def test_slips_among_numbers_are_refused():
    ages = pd.Series([*map(str, range(40, 70)), "sixty"], name="age")
    with pytest.raises(ValueError, match="holds numbers, and beside them 'sixty'") as error:
        taken(ages, "clinical")
    mended = pasted(is_a_sentence(error.value, "age"), ages)
    assert taken(mended, "clinical")[0].columns == ("age", "age (missing)")
    sites = pd.Series([*map(str, range(40, 70)), "4B", "J2", "MN", "O1", *["35"] * 9], name="site")
    assert taken(sites, "technical")[0].kind == "categorical"


@pytest.mark.parametrize(
    ("form", "message"), [("{},5", "with a comma"), ("{} years", "a unit"), ("{}%", "a unit")]
)
def test_numbers_in_another_dress_are_refused(form, message):
    ages = pd.Series([*(form.format(40 + i % 20) for i in range(40)), "--"], name="age")
    with pytest.raises(ValueError, match=message) as error:
        taken(ages, "clinical")
    mended = pasted(is_a_sentence(error.value, "age"), ages)
    assert mended.notna().sum() == 40 and mended.median() == pytest.approx(49.5, abs=0.6)
    assert taken(mended, "clinical")[0].columns == ("age", "age (missing)")


@pytest.mark.parametrize("value", [-(2**31), -(2**63)])
def test_a_missing_integer_is_refused(value):
    ages = pd.Series([61, 54, value, 47], name="age")
    with pytest.raises(ValueError, match="missing value written as an integer") as error:
        taken(ages, "clinical")
    assert pasted(str(error.value), ages).isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([61, 54, 47, -9999], [-9999]),
        ([61, 54, 47, 999], [999]),
        ([*range(40, 90), 99], []),
        ([0, 1, 2, -1], []),
        ([0.1, -0.3, -1.0, 2.0], []),
        ([*range(20), -1], [-1]),
    ],
)
def test_numbers_that_look_like_a_missing_one_are_noted(values, told):
    column = pd.Series(values, name="x")
    notes = [note for note in taken(column, "clinical")[1] if "looks like" in note]
    assert len(notes) == len(told)
    for note, value in zip(notes, told, strict=True):
        assert f": {value} in 1 of" in note and pasted(note, column).isna().sum() == 1


# --- dates ----------------------------------------------------------------------------------------

DATES = pd.to_datetime(["2012-03-04", "2011-01-01", None, "2019-12-31"])
DATED = {
    "dates": pd.Series(DATES),
    "text": pd.Series(["2012-03-04", "2011-01-01", "[Not Available]", "2019-12-31"]),
    "objects": pd.Series(np.array([d.date() if d == d else None for d in DATES], dtype=object)),
    "categories": pd.Series(pd.Categorical(DATES)),
    "periods": pd.Series(DATES.to_period("D")),
    "zoned": pd.Series(DATES.tz_localize("UTC")),
}


@pytest.mark.parametrize("dates", DATED.values(), ids=DATED)
def test_dates_are_refused_with_the_line_to_paste(dates):
    column = dates.rename("seen")
    tries = {
        "clinical": lambda c: taken(c, "clinical"),
        "technical": lambda c: taken(c, "technical"),
        "labels": lambda c: LabelCoder.check(
            Labels("seen"), c.to_frame(), others=c.to_frame(), shared=()
        ),
        "target": lambda c: TargetCoder.fit(Target("seen"), c.to_frame(), "target", shared=()),
    }
    for attempt in tries.values():
        with pytest.raises(ValueError, match="'seen' holds dates; make them days since") as error:
            attempt(column)
        days = pasted(str(error.value), column)
        assert days.fillna(-1).tolist() == [428, 0, -1, 3286]
    assert taken(column, "batch")[0].missing == 1  # a day of a run is a batch
    with pytest.raises(ValueError, match="where a date says that the event was seen") as error:
        as_binary(column, "event 'seen'")
    assert pasted(str(error.value), column).tolist() == [1, 1, 0, 1]
    with pytest.raises(ValueError, match="the days from each patient's own start"):
        code_survival(column.to_frame().assign(e=1), Survival("seen", "e"))


def test_other_spans_are_refused():
    with pytest.raises(ValueError, match="spans of time") as error:
        as_numbers(pd.Series(pd.to_timedelta([3, None], "D"), name="t"), "time 't'")
    column = pd.Series(pd.to_timedelta([3, None], "D"), name="t")
    assert pasted(str(error.value), column).fillna(-1).tolist() == [3, -1]
    with pytest.raises(ValueError, match=r"dates such as '01\.02\.2012'"):
        as_numbers(pd.Series(["01.02.2012", "24.12.2011"], name="t"), "time 't'")
    with pytest.raises(ValueError, match="complex numbers"):
        as_numbers(pd.Series([1j, 2j], name="t"), "time 't'")


# --- classes --------------------------------------------------------------------------------------

KINDS = {
    "int": st.integers(-3, 12),
    "bool": st.booleans(),
    "float": st.integers(0, 6).map(lambda n: n / 2),
    "text": st.sampled_from(["None", "Chemo", "G2", "unknown", "é", "a b", "x=1", "IIIA"]),
    "numbers as text": st.sampled_from(["1", "2", "3.5", "10"]),
}


def test_classes_come_back_in_their_type():
    tried = set()

    @QUICK
    @given(data=st.data(), kind=st.sampled_from(list(KINDS)), gap=gaps, category=st.booleans())
    def check(data, kind, gap, category):
        drawn = data.draw(st.lists(KINDS[kind], min_size=24, max_size=24))
        values = [None if g else v for v, g in zip(drawn, gap, strict=True)]
        known = [v for v in values if v is not None]
        if len({str(v) for v in known}) < 2:
            return
        raw = pd.Categorical(values) if category else np.array([*values, None], dtype=object)[:-1]
        column = pd.Series(raw, name="y")
        coder, _ = LabelCoder.fit(Labels("y"), column.to_frame(), "labels", shared=frozenset())
        codes = code_labels(column, coder.categories, "labels 'y'")
        back = [None if c < 0 else coder.categories[c] for c in codes]
        assert back == values and {type(b) for b in back} <= {type(v) for v in values} | {float}
        state = json.loads(json.dumps(coder.to_dict()[0]))
        again = LabelCoder.from_dict(state, {})
        assert vars(again) == vars(coder)
        assert sum(coder.counts) + coder.missing == 24 and coder.missing == sum(gap)
        tried.add((kind, category, tuple(map(str, values))))

    check()
    print(f"columns of classes tried: {len(tried)}")
    assert len(tried) >= 60


def test_none_is_a_class_among_words_and_missing_among_numbers():
    treatment = pd.Series(["None", "Chemo", "None", None], name="treatment")
    encoder, notes = taken(treatment, "clinical")
    assert encoder.levels == ("Chemo", "None") and encoder.missing == 1
    mended = pasted(notes[-1], treatment)
    assert as_text(mended).tolist() == [None, "Chemo", None, None]
    assert as_text(pd.Series(["54", "None", "61"])).tolist() == ["54", None, "61"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one new patient is read as the fitted ones were
        assert encoder.encode(pd.Series(["None"])).tolist() == [[1, 0]]


def test_ordered_categories_are_one_number():
    order = ["Stage I", "Stage IIA", "Stage IIIA", "Stage IV"]
    stages = [*order, "Stage I", None, "Stage IV"]
    stage = pd.Series(pd.Categorical(stages, order, ordered=True), name="stage")
    encoder, notes = taken(stage, "clinical")
    assert encoder.columns == ("stage", "stage (missing)") and encoder.kind == "ordered"
    encoded = encoder.encode(stage)
    assert (np.diff(encoded[:4, 0]) > 0).all() and encoded[5].tolist()[1] == 1
    assert "Stage I 2 < Stage IIA 1" in encoder.taken and "1 missing" in encoder.taken
    np.testing.assert_array_equal(encoder.encode(pd.Series(stages, name="stage")), encoded)
    with pytest.warns(UserWarning, match="'Stage 0'; taken as the median 'Stage IIA'"):
        assert encoder.encode(pd.Series(["Stage 0"]))[0, 1] == 1
    dummies = pasted(next(n for n in notes if "column a class" in n), stage)
    assert len(taken(dummies, "clinical")[0].columns) == 4
    assert Encoder.from_dict(json.loads(json.dumps(encoder.to_dict()))) == encoder


def test_stages_in_words_are_classes_and_their_order_is_offered():
    words = ["Stage IIIA", "Stage X", "Stage I", "Stage III", "Stage IIB", " Stage IV", "Stage I"]
    stage = pd.Series(words, name="stage")
    encoder, notes = taken(stage, "clinical")
    assert encoder.kind == "categorical"
    ordered = pasted(notes[-1], stage)
    expected = ["Stage I", "Stage IIB", "Stage III", "Stage IIIA", "Stage IV"]
    assert list(ordered.cat.categories) == expected and ordered.isna().sum() == 1
    assert taken(ordered, "clinical")[0].kind == "ordered"
    assert not taken(pd.Series(["IDC", "ILC", "MDLC"]), "clinical")[1]


def test_a_grade_that_was_not_assessed_is_no_highest_grade():
    grade = pd.Series(["G1", "GX", "G3", "G2"], name="grade")
    with pytest.raises(ValueError, match="'GX', which is no level between the others") as error:
        target_levels(grade, Target("grade", kind="ordinal"))
    levels, _ = target_levels(pasted(str(error.value), grade), Target("grade", kind="ordinal"))
    assert levels == ("G1", "G2", "G3")
    assert target_levels(pd.Series([3, 1, 2]), Target("g", kind="ordinal", levels=(1, 2, 3)))[
        0
    ] == (1, 2, 3)


# --- what is no group -----------------------------------------------------------------------------


def test_a_measurement_is_no_batch():
    rng = np.random.default_rng(0)
    for column in (rng.random(40), rng.random(40).astype(str), np.arange(40) + 1000):
        with pytest.raises(ValueError, match=r"batch covariate 'purity'.*technical=\.$"):
            check_covariate(pd.Series(column, name="purity"), "batch", "batch covariate 'purity'")
    with pytest.raises(ValueError, match="it is a name, not a group"):
        check_covariate(pd.Series([f"P{i}" for i in range(40)]), "batch", "batch covariate 'id'")
    check_covariate(pd.Series(np.arange(40) % 13), "batch", "batch covariate 'plate'")


def test_measurements_are_no_labels():
    ages = pd.Series(np.arange(60) % 30 + 40.0, name="age")
    with pytest.raises(
        ValueError, match=r"30 different numbers.* take mv\.Target\('age'\)"
    ) as error:
        LabelCoder.fit(Labels("age"), ages.to_frame(), "labels", shared=frozenset())
    classes = pasted(str(error.value), ages).to_frame()
    assert len(LabelCoder.fit(Labels("age"), classes, "labels", shared=frozenset())[0].counts) == 30


# --- events ---------------------------------------------------------------------------------------

EVENTS = [("Alive", "Dead"), ("LIVING", "DECEASED"), ("0:LIVING", "1:DECEASED"), ("no", "yes")]
EVENTS += [("censored", "uncensored"), ("0", "1"), ("False", "True"), ("1", "2"), (1, 2), (0, 1)]
EVENTS += [
    ("DiseaseFree", "Recurred/Progressed"),
    ("TUMOR FREE", "WITH TUMOR"),
    ("alive", "not alive"),
]
EVENTS += [(1.0, 2.0), (False, True), ("0:DiseaseFree", "1:Recurred/Progressed")]


def test_advice_on_events_is_right_when_pasted():
    tried = set()

    @QUICK
    @given(
        pair=st.sampled_from(EVENTS),
        seen=st.lists(st.booleans(), min_size=24, max_size=24).filter(lambda s: 0 < sum(s) < 24),
        gap=gaps.filter(lambda g: not all(g)),
        words=st.lists(st.sampled_from(AMONG_NUMBERS), min_size=1, max_size=3),
        container=st.sampled_from(["objects", "text", "spaces", "category of text", "numbers"]),
        key=st.sampled_from(["event", "os status", 'the "event"']),
    )
    def check(pair, seen, gap, words, container, key):
        values = [None if g else pair[s] for s, g in zip(seen, gap, strict=True)]
        if isinstance(pair[0], str) and container == "numbers":
            return
        if isinstance(pair[0], bool) and container == "numbers":
            container = "objects"
        if len({v for v in values if v is not None}) < 2:
            return
        column = column_of(container, values, words, key)
        truth = [np.nan if g else float(s) for s, g in zip(seen, gap, strict=True)]
        try:
            found = as_binary(column, f"event {key!r}")
        except ValueError as error:
            message = is_a_sentence(error, key)
            line = message.split("for example ")[1]
            patients = SimpleNamespace(obs=pd.DataFrame({key: column}))
            exec(line, {"mdata": patients})
            found = as_binary(patients.obs[key], "event")
        np.testing.assert_array_equal(found, truth)
        tried.add((pair, container, tuple(values), tuple(words), key))

    check()
    print(f"columns of events tried: {len(tried)}")
    assert len(tried) >= 40


@pytest.mark.parametrize(
    "words", [["DOD", "DOC", "NED"], ["a", "b"], ["Alive", "Lost"], ["0.5", "1"]]
)
def test_no_line_where_the_words_do_not_tell(words):
    with pytest.raises(ValueError, match="1 where the event was seen at that time") as error:
        as_binary(pd.Series(words, name="e"), "event 'e'")
    assert not LINE.search(str(error.value))


def fit_survival(obs, event):
    return SurvivalCoder.fit(Survival("t", event), obs, "survival", shared=frozenset())


@pytest.mark.parametrize("name", ["censorship", "Censored", "cens", "right_censored"])
def test_an_event_that_marks_the_censored_is_told(name):
    obs = pd.DataFrame({"t": np.arange(1.0, 41.0), name: [1, 0] * 20})
    with pytest.warns(UserWarning, match="if 1 marks the censored, turn it round") as caught:
        fit_survival(obs, name)
    turned = pasted(str(caught[0].message), obs[name])
    assert turned.tolist() == [0, 1] * 20
    flags = pd.Series(["yes", "no"], name=name)
    with pytest.raises(ValueError, match="must be 0/1") as error:
        as_binary(flags, "event")
    assert pasted(str(error.value), flags).tolist() == [0, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sound in ("event", "uncensored", "not_censored"):
            fit_survival(obs.rename(columns={name: sound}), sound)


# --- any column -----------------------------------------------------------------------------------

SCRAPS = [
    "1",
    "2.5",
    "61,5",
    ">89",
    "1e3",
    "0x1f",
    "2012-03-04",
    "12:30",
    "None",
    "unknown",
    "é",
    "--",
]
scraps = st.one_of(
    st.sampled_from(SCRAPS), st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3)
)


def test_any_column_is_read_or_refused():
    tried = set()

    @QUICK
    @given(
        values=st.lists(scraps, min_size=2, max_size=14),
        role=st.sampled_from(["batch", "technical", "clinical"]),
    )
    def check(values, role):
        tried.add((tuple(map(repr, values)), role))
        column = pd.Series(np.array([*values, None], dtype=object)[:-1], name="x")
        try:
            encoder, notes = taken(column, role)
        except ValueError as error:
            is_a_sentence(error, "'x'")
            return
        assert all("'x'" in note for note in notes)
        if encoder is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = encoder.encode(column)
            assert found.shape == (len(values), len(encoder.columns)) and np.isfinite(found).all()

    check()
    print(f"any columns tried: {len(tried)}")
    assert len(tried) >= 60


# --- whole fits -----------------------------------------------------------------------------------


@pytest.fixture
def patients(mdata):
    """A cohort with columns as people have them."""
    rng = np.random.default_rng(3)
    n = mdata.n_obs
    obs = mdata.obs
    obs["age"] = pd.Categorical([*map(str, rng.integers(40, 80, n - 2)), "[Not Available]", ">89"])
    obs["drug"] = rng.choice(["None", "Chemo"], n)
    obs["grade"] = rng.integers(1, 4, n)
    obs["responds"] = rng.random(n) < 0.5
    mdata.obs = obs
    return mdata


def test_a_fit_says_how_each_column_was_taken_and_predicts_in_its_type(patients, tmp_path):
    before = patients.obs.copy()
    options = {"views": {"rna": "normal"}, "max_epochs": 2, "progress": False}
    labels = ["grade", "responds"]
    model = mv.fit(patients, batch="site", clinical=["age", "drug"], labels=labels, **options)
    names = model.cohort().clinical_names
    assert names == ("age", "age (missing)", "drug=None")
    said = model.summary()
    for line in ("age: a number (mean", "drug: 2 classes (", "grade: 3 classes (", "1 missing"):
        assert line in said
    model.save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m", patients)
    assert again.summary() == said
    for name in labels:
        for one in (model, again):
            found = one.predict_labels(outcome=name)
            assert found.dtype == patients.obs[name].dtype
            assert set(found) <= set(patients.obs[name])
    pd.testing.assert_frame_equal(patients.obs, before)


def test_refused_before_anything_is_computed(patients):
    patients.obs["purity"] = np.random.default_rng(0).random(patients.n_obs)
    patients.obs["seen"] = pd.Timestamp("2012-01-01")
    options = {"views": {"rna": "normal"}, "max_epochs": 2, "progress": False}
    with pytest.raises(ValueError, match="batch covariate 'purity' holds"):
        mv.fit(patients, batch="purity", **options)
    with pytest.raises(ValueError, match=r"take mv\.Target\('purity'\)|class for each patient"):
        mv.fit(patients, labels="purity", **options)
    with pytest.raises(ValueError, match="clinical covariate 'seen' holds dates"):
        mv.fit(patients, clinical="seen", **options)


def test_a_code_that_is_no_cause_is_refused():
    obs = pd.DataFrame({"t": [1.0, 2.0, 3.0], "e": [0, 1, 20240131]})
    with pytest.raises(ValueError, match="event 'e' holds '20240131', which is no code of a cause"):
        code_survival(obs, Survival("t", "e", kind="competing"))


@pytest.mark.parametrize("where", ["obs", "a modality"])
@pytest.mark.parametrize("words", [("Alive", "Dead"), (1.0, 2.0)], ids=["words", "numbers"])
def test_the_line_of_an_error_lets_the_cohort_be_fitted(patients, words, where):
    rng = np.random.default_rng(1)
    seen = rng.random(patients.n_obs) < 0.5
    patients.obs["months"] = rng.exponential(20, patients.n_obs) + 1
    status = pd.Series(np.where(seen, words[1], words[0]), patients.obs_names)
    if where == "obs":
        patients.obs["status"], key = status, "status"
    else:
        patients["rna"].obs["status"] = status.reindex(patients["rna"].obs_names)
        patients, key = patients[patients["rna"].obs_names].copy(), "rna:status"
    options = {"views": {"rna": "normal"}, "max_epochs": 2, "progress": False}
    with pytest.raises(ValueError, match="must be 0/1") as error:
        mv.fit(patients, survival=("months", key), **options)
    exec(str(error.value).split("for example ")[1], {"mdata": patients})
    said = mv.fit(patients, survival=("months", key), **options).summary()
    known = status.reindex(patients.obs_names) == words[1]
    assert f"{known.sum()} events in {patients.n_obs} patients" in said
