"""The comparison with later methods: its specs, its table from made-up results, its figure, and what is published."""

import dataclasses
import json

import numpy as np
import pytest
from made_results import result

from maml_tf.errors import UsageError
from maml_tf.experiments.registry import experiment_class
from maml_tf.experiments.results import Curve, write_result
from maml_tf.experiments.spec import read_spec
from reproduce import paths
from reproduce.beyond.__main__ import publish
from reproduce.beyond.cost import params_after
from reproduce.beyond.rows import COST, SPECS, beyond_store, read_methods, result_of, spec_path
from reproduce.beyond.table import figure, table

METHODS = read_methods()
SPEC_NAMES = sorted(path.stem for path in SPECS.glob("*.yaml"))
PREFIXES = {"sinusoid": "sinusoid_", "omniglot": "omniglot_", "mini_imagenet": "mini", "half_cheetah": "half_"}
DIAGNOSTIC = {"miniimagenet_5way_1shot_small_rate_and_weights", "omniglot_20way_1shot_15_queries_clipped"}


def made(folder, name, column="sinusoid", **changes):
    """Writes a result of a spec into the store of a folder."""
    chosen = METHODS.columns[column]
    spec = read_spec(spec_path(name), chosen.profile)
    steps = tuple(range(spec.evaluation.steps + 1))
    values = tuple(10.0 / (1 + step) for step in steps)
    curve = Curve(steps, values, tuple(0.5 for _ in steps), (values,) * len(spec.seeds))
    settings = {f"seed_{seed}": {} for seed in spec.seeds}
    content = {
        "spec": name, "profile": chosen.profile, "seeds": spec.seeds, "iterations_done": spec.iterations,
        "iterations_asked": spec.iterations_asked, "targets": {}, "curves": {chosen.curve: curve}, "settings": settings,
        "spec_hash": spec.hash, "weights": {}, "git_commit": "0123456", "history": None,
    }  # fmt: skip
    store = paths.own_store(folder)
    write_result(dataclasses.replace(result({}), **content | changes), beyond_store(store).results)
    return store


def test_every_row_names_specs_that_exist_and_every_spec_is_in_a_row():
    named = {name for row in METHODS.rows for name in row.specs.values()}
    assert set(SPEC_NAMES) - DIAGNOSTIC <= named
    for row in METHODS.rows:
        assert set(row.specs) | set(row.published) <= set(METHODS.columns), row.title
        for column, name in row.specs.items():
            assert spec_path(name).exists(), name
            assert METHODS.columns[column].curve


@pytest.mark.parametrize("name", SPEC_NAMES)
def test_the_specs_build_their_learners_and_share_tasks_and_length(name):
    column = next((c for c, prefix in PREFIXES.items() if name.startswith(prefix)), None)
    assert column is not None
    spec = read_spec(SPECS / f"{name}.yaml", METHODS.columns[column].profile if column != "half_cheetah" else "paper")
    base = read_spec(spec_path(METHODS.rows[0].specs[column]), spec.profile)
    assert spec.iterations == (100 if column == "half_cheetah" else base.iterations)
    assert spec.meta.batch_size == base.meta.batch_size
    assert dataclasses.replace(spec.evaluation, steps=0) == dataclasses.replace(base.evaluation, steps=0)
    if column != "mini_imagenet" or name in DIAGNOSTIC:  # whose sections are those of Omniglot
        assert experiment_class(spec).build_learner(spec).initial_params()


def test_the_table_shows_what_was_run_what_was_not_and_what_is_published(tmp_path):
    store = made(tmp_path, "sinusoid_anil")
    plain = table((store,)).replace("\N{NO-BREAK SPACE}", " ")
    lines = {line.split(" | ")[0].strip("| "): line for line in plain.splitlines()}
    assert set(lines) >= {"method", *(row.title for row in METHODS.rows)}
    assert "5 ± 0.5 / 1.67 ± 0.5 / 0.909 ± 0.5 (3 seeds)" in lines["ANIL"]
    assert "96.2 ± 0.5 (Raghu et al. 2020)" in lines["ANIL"]
    assert "± 0.5 (3 seeds)" not in lines["BOIL"]
    assert lines["BOIL"].count("not run") == 5  # three columns, cost and memory
    assert len({line.count(" | ") for line in lines.values()}) == 1


def test_a_method_is_shown_after_the_steps_that_its_paper_tests_with(tmp_path):
    settings = {"seed_1": {"accuracy_one_at_a_time": 71.25}}
    store = made(tmp_path, "omniglot_20way_1shot_reptile", "omniglot", settings=settings)
    made(tmp_path, "omniglot_20way_1shot_anil", "omniglot")
    plain = table((store,)).replace("\N{NO-BREAK SPACE}", " ")
    lines = {line.split(" | ")[0].strip("| "): line for line in plain.splitlines()}
    assert "0.102 ± 0.5 (1 seed, after 97 steps, 71.2 with one query at a time)" in lines["Reptile"]
    assert "1.67 ± 0.5 (1 seed)" in lines["ANIL"]
    for row in METHODS.rows:
        for column, steps in row.steps.items():
            spec = read_spec(spec_path(row.specs[column]), METHODS.columns[column].profile)
            assert max(steps) == spec.evaluation.steps


def test_costs_say_on_which_tasks_they_were_measured(tmp_path):
    store = paths.own_store(tmp_path)
    path = beyond_store(store).comparison / COST
    path.parent.mkdir(parents=True)
    costs = {
        "sinusoid_anil": {"relative": 0.4861, "mebibytes": 919.04},
        "omniglot_20way_1shot_anil": {"relative": 0.75, "mebibytes": 2000.0},
    }
    path.write_text(json.dumps({"costs": costs}), encoding="utf-8")
    plain = table((store,)).replace("\N{NO-BREAK SPACE}", " ")
    lines = {line.split(" | ")[0].strip("| "): line for line in plain.splitlines()}
    assert "0.49 (sinusoid), 0.75 (Omniglot 20-way 1-shot) | 919 MiB (sinusoid), 2000 MiB (Omniglot" in lines["ANIL"]
    assert lines["BOIL"].endswith("| not run | not run |")


def test_a_result_of_another_length_or_spec_does_not_count(tmp_path):
    column = METHODS.columns["sinusoid"]
    for changes in ({"iterations_done": 69_999}, {"spec_hash": "0000000000"}):
        store = made(tmp_path, "sinusoid_anil", **changes)
        assert result_of("sinusoid_anil", column, (store,)) is None
    assert result_of("sinusoid_anil", column, (made(tmp_path, "sinusoid_anil"),)) is not None


def test_the_figure_needs_two_methods(tmp_path):
    store = made(tmp_path, "sinusoid_anil")
    assert figure((store,)) is None
    made(tmp_path, "sinusoid_boil")
    drawing = figure((store,))
    assert [line.get_label() for line in drawing.axes[0].get_lines()] == ["ANIL", "BOIL"]


def test_results_of_committed_code_are_published(tmp_path):
    own, published = made(tmp_path / "own", "sinusoid_anil"), paths.own_store(tmp_path / "published")
    assert len(publish(own, published)) == 1
    assert result_of("sinusoid_anil", METHODS.columns["sinusoid"], (published,)) is not None
    made(tmp_path / "own", "sinusoid_boil", git_commit="0123456+dirty")
    with pytest.raises(UsageError, match=r"git_commit: '0123456\+dirty' is not allowed"):
        publish(own, published)
    assert result_of("sinusoid_boil", METHODS.columns["sinusoid"], (published,)) is None


@pytest.mark.parametrize(("name", "counted"), [("sinusoid_maml_da", [70_000.0]), ("sinusoid_meta_sgd", [])])
def test_the_cost_of_a_method_that_counts_iterations_is_measured_at_the_end_too(name, counted):
    spec = read_spec(spec_path(name))
    learner = experiment_class(spec).build_learner(spec)
    before, after = learner.initial_params(), params_after(learner, spec.iterations)
    changed = [place for place, (b, a) in enumerate(zip(before, after, strict=True)) if not np.array_equal(b, a)]
    assert [float(after[place]) for place in changed] == counted
    assert [before[place].dtype for place in changed] == [after[place].dtype for place in changed]
