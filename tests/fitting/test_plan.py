"""Options of the loop check themselves."""

import json

import pytest

from mvlatent.fitting.plan import Plan


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_epochs", -1),
        ("patience", 0),
        ("num_nodes", 0),
        ("refit_epochs", -1),
        ("batch_size", 1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("warmup", 1.0),
        ("view_dropout", 1.0),
        ("view_dropout", -0.1),
    ],
)
def test_numbers_out_of_range_are_named(option, value):
    with pytest.raises(ValueError, match=option):
        Plan(**{option: value})


def test_no_epochs_are_the_start_alone():
    plan = Plan(max_epochs=0)
    assert plan.epochs == 0 and plan.resolved(validated=True) == plan
    assert Plan().resolved(validated=False).epochs == 60


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="learning_rate"):
        Plan(learning_rate=1.0)


@pytest.mark.parametrize(
    ("batch_size", "n", "expected"),
    [(None, 1024, 1024), (None, 1025, 512), (64, 30, 30), (64, 99, 64)],
)
def test_batch_size(batch_size, n, expected):
    assert Plan(batch_size=batch_size).batch_of(n) == expected


def test_kl_weight_rises_over_the_warmup():
    plan = Plan(max_epochs=10, warmup=0.5)
    assert [plan.kl_weight(e) for e in range(7)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])
    assert Plan(max_epochs=10, warmup=0.0).kl_weight(0) == 1.0


def test_json_round_trip():
    plan = Plan(max_epochs=7, batch_size=32, seed=5)
    assert Plan(**json.loads(json.dumps(plan.to_dict()))) == plan
