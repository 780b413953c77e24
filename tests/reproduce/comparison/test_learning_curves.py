"""The drawing of learning curves, from histories made up for the test."""

import dataclasses

import pytest
from made_results import curve, result

from reproduce.comparison.pages.learning_curves import draw, is_newest, learning_curve_figure

LOSSES = ((100, 2.0), (200, 1.0), (300, 0.5))
VALIDATIONS = ((150, 40.0), (300, 55.0))
VALIDATED = {"losses": LOSSES, "validations": VALIDATIONS}
NOT_VALIDATED = {"losses": LOSSES, "validations": ()}


def with_history(spec="omniglot_5way_1shot_conv", **history):
    return dataclasses.replace(result({}, spec), history=history)


def test_losses_and_validations_are_drawn_for_every_seed():
    synthetic = with_history(seed_1=VALIDATED, seed_2=VALIDATED)
    losses, validations = learning_curve_figure(synthetic).axes
    for panel, rows in ((losses, LOSSES), (validations, VALIDATIONS)):
        assert [line.get_label() for line in panel.get_lines()] == ["seed 1", "seed 2"]
        assert [tuple(map(tuple, line.get_xydata())) for line in panel.get_lines()] == [rows, rows]
        assert [text.get_text() for text in panel.get_legend().get_texts()] == ["seed 1", "seed 2"]
        assert panel.get_xlabel() == "meta-iteration"
    assert losses.get_ylabel() == "meta-loss"


@pytest.mark.parametrize(
    ("spec", "score"),
    [
        ("miniimagenet_5way_1shot_maml", "validation accuracy in percent"),
        ("point_navigation_maml", "return after adapting, in training"),
    ],
)
def test_the_score_is_named_after_the_experiment(spec, score):
    assert learning_curve_figure(with_history(spec, seed_1=VALIDATED)).axes[1].get_ylabel() == score


def test_without_validations_there_is_one_panel():
    (losses,) = learning_curve_figure(with_history("sinusoid_maml", seed_1=NOT_VALIDATED)).axes
    assert losses.get_ylabel() == "meta-loss"


def test_a_policy_has_the_panel_of_its_returns_only():
    of_policy = result({}, "point_navigation_maml", curves={"return": curve(1.0, 2.0)})
    (returns,) = learning_curve_figure(dataclasses.replace(of_policy, history={"seed_1": VALIDATED})).axes
    assert returns.get_ylabel() == "return after adapting, in training"


def test_a_seed_without_validations_has_no_line_there():
    _, validations = learning_curve_figure(with_history(seed_1=NOT_VALIDATED, seed_2=VALIDATED)).axes
    assert [line.get_label() for line in validations.get_lines()] == ["seed 2"]


def test_a_picture_is_the_newest_until_the_history_changes(tmp_path):
    path, synthetic = tmp_path / "curves.svg", with_history(seed_1=VALIDATED)
    assert not is_newest(path, synthetic)
    draw(path, synthetic)
    assert is_newest(path, synthetic)
    assert not is_newest(path, with_history(seed_1=NOT_VALIDATED))
    assert "validation accuracy in percent" in path.read_text(encoding="utf-8")  # text stays text


def test_a_picture_is_drawn_the_same_every_time(tmp_path):
    synthetic = with_history(seed_1=VALIDATED)
    for name in ("one.svg", "two.svg"):
        draw(tmp_path / name, synthetic)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
