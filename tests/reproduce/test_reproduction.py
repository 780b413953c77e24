"""The scripts of the tables and figures: short declarations that name specs, figures, targets and claims that exist."""

import argparse
import pathlib

import matplotlib.figure
import pytest
from made_results import BY_ID, MAML, TARGETS, result

from maml_tf import runtime
from maml_tf.errors import UsageError
from maml_tf.experiments.spec import read_spec
from reproduce import paths, reproduction
from reproduce.index import reproductions
from reproduce.policies import ARMS
from reproduce.reproduction import Figure, Reproduction

ALL = reproductions()
CLAIMS = {claim.id for claim in TARGETS.claims}


def test_every_table_and_figure_of_the_paper_has_a_script():
    assert set(ALL) >= {f"table{n}" for n in range(1, 6)} | {f"fig{n}" for n in range(2, 8)}


@pytest.mark.parametrize("name", ALL)
def test_a_script_is_a_short_declaration(name):
    assert len((paths.HERE / f"{name}.py").read_text().splitlines()) <= 25


@pytest.mark.parametrize(("name", "declared"), ALL.items())
def test_what_a_script_names_exists(name, declared):
    for spec in (*declared.specs, *declared.optional):
        read_spec(paths.SPECS / f"{spec}.yaml")
    for figure in declared.figures:
        assert set(figure.specs) <= set(declared.specs)
        assert (paths.PUBLISHED.figures / f"{figure.name}.png").exists()
    assert set(declared.judged) <= CLAIMS | set(BY_ID)
    assert declared.shown()


def test_every_gated_target_and_every_claim_is_judged_by_a_script():
    shown = {id_ for declared in ALL.values() for id_ in declared.shown()}
    judged = {id_ for id_, target in BY_ID.items() if target.gated} | CLAIMS
    assert judged - shown == {"authors_checkpoint_step1", "authors_checkpoint_step10"}  # of a study


def test_specs_are_chosen_by_name_or_beginning():
    fig5 = ALL["fig5"]
    assert fig5.chosen([]) == fig5.specs
    assert fig5.chosen(["ant_velocity"]) == tuple(f"ant_velocity_{arm}" for arm in ARMS)
    table1 = ALL["table1"]
    assert table1.chosen(["miniimagenet_5way_1shot_maml"]) == ("miniimagenet_5way_1shot_maml",)  # not the first order
    table2 = ALL["table2"]
    assert not set(table2.chosen([])) & set(table2.optional)
    assert set(table2.chosen(["sinusoid"])) == {*table2.specs, *table2.optional}
    with pytest.raises(UsageError, match="'ants' is not allowed; expected names or beginnings of half_cheetah"):
        fig5.chosen(["ants"])


def test_only_what_the_chosen_specs_answer_is_shown():
    shown = ALL["fig5"].shown(ALL["fig5"].chosen(["ant_velocity"]))
    tasks = {BY_ID[id_].experiment for id_ in shown if id_ in BY_ID}
    assert tasks == {"rl_ant_goal_velocity"}
    assert "rl_ant_goal_velocity_gap_closed_step2" in shown
    cell = ALL["table3"].shown(["omniglot_5way_1shot_conv"])
    assert cell == ["omniglot_5way_1shot_maml_table3", "context_below_maml"]
    assert "omniglot_20way_1shot_matching_nets" in ALL["table1"].shown()  # cited rows, where nothing is chosen


@pytest.fixture
def measured(monkeypatch):
    """The specs that a run trains; nothing is trained."""
    trained = []

    def train_and_evaluate_from(spec, arguments, *, results, weights):
        trained.append((spec.name, spec.profile, results, weights))
        return result({MAML: 0.6}, spec.name)

    monkeypatch.setattr(reproduction, "train_and_evaluate_from", train_and_evaluate_from)
    monkeypatch.setattr(runtime, "configure_runtime", lambda: None)  # the test's process has begun to use TensorFlow
    return trained


def arguments_of(declared, folder, *words):
    return declared._parser("A table.").parse_args(["--runs", str(folder), *words])


def test_a_run_trains_into_the_folder_of_runs_and_draws_what_is_complete(tmp_path, measured, capsys):
    def draw(run):
        figure = matplotlib.figure.Figure()
        figure.text(0.5, 0.5, ", ".join(run.results))
        return figure

    declared = Reproduction(
        "Table 2",
        specs=["sinusoid_maml", "sinusoid_oracle"],
        figures=[Figure("one", ("sinusoid_maml",), draw), Figure("two", ("sinusoid_maml", "sinusoid_oracle"), draw)],
    )
    assert declared.run(arguments_of(declared, tmp_path, "sinusoid_maml")) == 0
    assert measured == [("sinusoid_maml", "paper", tmp_path / "results", tmp_path / "checkpoints")]
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.png")] == [pathlib.Path("figures/one.png")]
    assert "sinusoid 5-shot maml, 1 step" in capsys.readouterr().out
    declared.run(arguments_of(declared, tmp_path, "--profile", "smoke"))
    assert [name for name, profile, *_ in measured if profile == "smoke"] == ["sinusoid_maml", "sinusoid_oracle"]
    smoke = {path.relative_to(tmp_path) for path in tmp_path.rglob("smoke/*.png")}
    assert smoke == {pathlib.Path(f"figures/smoke/{name}.png") for name in ("one", "two")}


def test_a_table_can_be_printed_without_training(tmp_path, measured, capsys):
    declared = ALL["table1"]
    assert declared.run(arguments_of(declared, tmp_path, "--table")) == 0
    assert not measured
    out = capsys.readouterr().out
    assert "omniglot 20-way 1-shot matching_nets" in out
    assert "claim first_order_close" in out


def test_a_mistake_in_a_spec_is_found_before_anything_is_trained(tmp_path, measured):
    declared = Reproduction("Table 2", specs=["sinusoid_maml", "no_such_spec"])
    with pytest.raises(UsageError, match=r"no_such_spec.yaml: cannot be read"):
        declared.run(arguments_of(declared, tmp_path))
    assert not measured


def test_arguments_are_those_of_every_training():
    parsed = ALL["fig4"]._parser("x").parse_args([])
    assert isinstance(parsed, argparse.Namespace)
    assert (parsed.runs, parsed.data, parsed.profile) == (paths.RUNS, paths.DATA, "paper")
