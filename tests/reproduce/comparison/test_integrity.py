"""A result file that does not agree with itself, its spec or its weights is refused."""

import dataclasses
import json
import shutil

import pytest
from made_results import TARGETS

from maml_tf.errors import UsageError
from reproduce import paths
from reproduce.comparison.integrity import check_weights, read_checked_results

SPEC, TARGET = "sinusoid_maml", "sinusoid_5shot_maml_step1"


@pytest.fixture
def store(tmp_path):
    """A copy of a published result, and changed(edit) which edits its JSON."""
    for name in (SPEC, "authors_checkpoint"):
        shutil.copy(paths.PUBLISHED.results / f"{name}.json", tmp_path)
    return dataclasses.replace(paths.PUBLISHED, results=tmp_path)


def read_changed(store, edit, name=SPEC):
    path = store.results / f"{name}.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return read_checked_results(store, TARGETS, paths.SPECS)


def test_published_results_are_sound():
    results = read_checked_results(paths.PUBLISHED, TARGETS, paths.SPECS)
    assert len(results) > 40
    for result in results.values():
        check_weights(result, paths.PUBLISHED.results, paths.PUBLISHED.checkpoints)


def forged_target(content):
    content["targets"][TARGET] |= {"mean": 0.67, "per_seed": [0.67] * 3}


def forged_seeds(content):
    content["curves"]["5_shot"]["mean"][1] = content["targets"][TARGET]["mean"] = 0.67
    content["targets"][TARGET]["per_seed"] = [0.67] * 3


def forged_interval(content):
    content["targets"][TARGET]["ci95"] = 0.5


def impossible_error(content):
    curve = content["curves"]["5_shot"]
    curve["mean"][1] = content["targets"][TARGET]["mean"] = -1e300
    content["targets"][TARGET]["per_seed"] = [-1e300] * 3
    for values in curve["per_seed"]:
        values[1] = -1e300


def negative_interval(content):
    content["curves"]["20_shot"]["ci95"][3] = -0.1


def no_tasks(content):
    content["targets"][TARGET]["n_tasks"] = 0


def removed_curve(content):
    del content["curves"]["5_shot"], content["robust"]["5_shot"]


def statistics_without_a_curve(content):
    del content["curves"]["5_shot"]


def too_few_statistics(content):
    content["robust"]["5_shot"]["median"].pop()


def scores_of_other_tasks(content):
    steps = len(content["curves"]["5_shot"]["grad_steps"])
    content["task_scores"] = {"5_shot": [[[1.0] * steps] * 600] * 3}


def scores_of_a_seed_missing(content):
    steps = len(content["curves"]["5_shot"]["grad_steps"])
    content["task_scores"] = {"5_shot": [[[1.0] * steps] * 600] * 2}


def fewer_iterations_asked(content):
    content |= {"iterations_asked": 100, "iterations_done": 100}


def other_spec(content):
    content["spec_hash"] = "0123456789"


def foreign_target(content):
    content["targets"]["omniglot_5way_1shot_conv_maml"] = content["targets"].pop(TARGET)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (forged_target, rf"{SPEC}.json: targets.{TARGET}: mean, ci95 or per_seed is not that of '5_shot' at step 1"),
        (forged_seeds, r"curves.5_shot.mean: 0.67 at step 1 is not the mean of per_seed"),
        (forged_interval, "mean, ci95 or per_seed is not that of '5_shot' at step 1"),
        (impossible_error, r"curves.5_shot: -1e\+300 is not allowed; mse is between 0 and inf"),
        (negative_interval, r"curves.20_shot.ci95: -0.1 is not allowed; expected numbers from 0"),
        (no_tasks, "n_tasks: 0 is not allowed; expected a whole number from 1"),
        (removed_curve, "mean, ci95 or per_seed is not that of '5_shot' at step 1"),
        (statistics_without_a_curve, "robust.5_shot: there is no such curve; expected one of"),
        (too_few_statistics, "robust.5_shot: median: 10 values for 11 gradient steps"),
        (scores_of_other_tasks, "task_scores.5_shot: their means over tasks are not curves.5_shot.per_seed"),
        (scores_of_a_seed_missing, "task_scores.5_shot: expected the same tasks for each of 3 seeds"),
        (fewer_iterations_asked, "iterations_asked: 100 is not allowed; the spec sinusoid_maml asks for 70000"),
        (other_spec, "spec_hash: '0123456789' is of another version of the spec sinusoid_maml"),
        (foreign_target, "targets.omniglot_5way_1shot_conv_maml: the spec sinusoid_maml does not answer this target"),
    ],
)
def test_a_forged_result_is_refused(store, edit, message):
    with pytest.raises(UsageError, match=message):
        read_changed(store, edit)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"mean": 120.0, "per_seed": [120.0]}, "120.0 is not allowed; accuracy_percent is between 0 and 100"),
        ({"mean": 46.0, "per_seed": [46.0]}, "is not that of any curve"),
    ],
)
def test_a_result_without_a_spec_is_checked_too(store, target, message):
    with pytest.raises(UsageError, match=message):
        read_changed(
            store, lambda content: content["targets"]["authors_checkpoint_step10"].update(target), "authors_checkpoint"
        )


def test_a_diverged_error_is_no_forgery(store):
    def diverged(content):
        curve = content["curves"]["5_shot"]
        value = content["targets"]["sinusoid_5shot_maml_step10"]
        for key in ("mean", "ci95"):
            curve[key][10] = value[key] = None
        curve["per_seed"][1][10] = value["per_seed"][1] = None

    assert SPEC in read_changed(store, diverged)


def test_weights_of_another_training_are_refused(tmp_path):
    result = read_checked_results(paths.PUBLISHED, TARGETS, paths.SPECS)[SPEC]
    (tmp_path / SPEC).mkdir()
    check_weights(result, tmp_path / "result.json", tmp_path)  # weights that are not there cannot be checked
    (tmp_path / SPEC / "seed_2.npz").write_bytes(b"other weights")
    with pytest.raises(UsageError, match=rf"result.json: weights.{SPEC}/seed_2.npz: .* has another checksum"):
        check_weights(result, tmp_path / "result.json", tmp_path)
