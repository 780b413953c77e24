"""Meta-training: the same numbers after any interruption, the best model, curves, schedules, errors."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.errors import UsageError
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks import random
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.checkpoint import RunDirectory
from maml_tf.training.train import half_way, negative_meta_loss, train

TASKS = SinusoidTasks(5, 5)
pytestmark = pytest.mark.usefixtures("without_xla")  # tests/training/test_loop.py compares with XLA and without


def learner():
    keras.utils.set_random_seed(1)
    return MAML(MLP(1, (8,), 1), mean_squared_error, 0.01, 1)


def trained(run_dir=None, **options):
    defaults = {
        "iterations": 40,
        "batch_size": 4,
        "learning_rate": 0.001,
        "seed": 1,
        "validate_every": 10,
        "validate": lambda params: -float(tf.norm(params[0])),
    }
    return train(learner(), TASKS, run_dir=run_dir, **defaults | options)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_same_seed_same_result_and_another_seed_another(tmp_path):
    a, b, c = trained(tmp_path / "a"), trained(), trained(seed=2)
    assert equal(a.state.params, b.state.params)
    assert a.losses == b.losses
    assert not equal(a.state.params, c.state.params)


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_killed_and_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path, killed_after):
    calls = []

    def killed(params):
        calls.append(1)
        if len(calls) > killed_after:
            raise KeyboardInterrupt
        return -float(tf.norm(params[0]))

    def schedule(iteration):
        return 0.001 / (1.0 + tf.cast(iteration, tf.float32))

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "run", validate=killed, learning_rate=schedule)
    assert RunDirectory(tmp_path / "run").read().iteration == 10 * killed_after
    with pytest.raises(UsageError, match=rf"stopped at iteration {10 * killed_after} of 40: --resume .* --restart"):
        trained(tmp_path / "run", learning_rate=schedule)
    resumed = trained(tmp_path / "run", resume=True, learning_rate=schedule)
    whole = trained(tmp_path / "whole", learning_rate=schedule)
    for ours, theirs in ((resumed.state, whole.state), (resumed.params, whole.params)):
        assert equal(tf.nest.flatten(ours), tf.nest.flatten(theirs))
    assert resumed.losses == whole.losses
    assert resumed.validations == whole.validations
    assert (resumed.best_score, resumed.best_iteration) == (whole.best_score, whole.best_iteration)


def test_a_finished_training_is_returned(tmp_path):
    first = trained(tmp_path)
    second = trained(tmp_path, validate=lambda params: pytest.fail("trained again"))
    assert equal(first.state.params, second.state.params)


def test_the_best_model_is_kept_and_the_last_one_too():
    scores = iter([1.0, 5.0, 3.0, 5.0])
    checkpoint = trained(validate=lambda params: next(scores))
    assert (checkpoint.best_iteration, checkpoint.best_score) == (20, 5.0)
    assert checkpoint.params is checkpoint.best_params
    assert not equal(checkpoint.params, checkpoint.state.params)


def test_validation_tasks_choose_the_lowest_meta_loss():
    maml = learner()
    checkpoint = train(
        maml, TASKS, iterations=40, batch_size=4, validation_tasks=TASKS, num_validation_tasks=7, validate_every=20
    )
    batches = [
        TASKS.sample(tf.random.fold_in(tf.constant(random.VALIDATION_TASKS), index, alg="philox"), 4)
        for index in range(2)  # 7 tasks in whole batches of 4
    ]
    losses = [float(maml.meta_gradient(checkpoint.state.params, batch)[0]) for batch in batches]
    assert [iteration for iteration, _ in checkpoint.validations] == [20, 40]
    assert checkpoint.validations[-1][1] == pytest.approx(-np.mean(losses), rel=1e-5)
    assert checkpoint.best_score == max(score for _, score in checkpoint.validations)


def test_a_baseline_is_trained_and_validated_in_the_same_way():
    keras.utils.set_random_seed(1)
    joint = JointTraining(MLP(1, (8,), 1), mean_squared_error)
    checkpoint = train(joint, TASKS, iterations=10, batch_size=4, validation_tasks=TASKS, validate_every=5)
    assert len(checkpoint.validations) == 2
    assert checkpoint.validations[-1][1] == pytest.approx(
        negative_meta_loss(joint, TASKS, 100, 4)(checkpoint.state.params)
    )


def test_by_default_there_are_twenty_validations_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [iteration for iteration, _ in trained(validate_every=None).validations] == list(range(2, 41, 2))
    assert trained(validate=None).validations == []
    assert not list(tmp_path.iterdir())


def test_the_checkpoint_at_half_of_the_iterations_is_kept_where_it_is_validated(tmp_path):
    whole = trained(tmp_path / "validated")
    half = RunDirectory(tmp_path / "validated").read_half()
    assert (half.iteration, half.losses, half.validations) == (20, whole.losses[:20], whole.validations[:2])
    shorter = trained(iterations=20)
    assert equal(half.state.params, shorter.state.params)
    assert equal(half.params, shorter.params)
    trained(tmp_path / "not", validate=None)
    trained(tmp_path / "other", validate_every=15)
    for name in ("not", "other"):
        assert not RunDirectory(tmp_path / name).half_file.exists()
    assert (half_way(60000, 1000), half_way(60000, 700), half_way(7, 1), half_way(2, 1)) == (30000, None, None, 1)


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was_saved(tmp_path):
    with pytest.raises(FloatingPointError, match="a test: the meta-loss is nan between iterations"):
        trained(tmp_path, learning_rate=math.nan, label="a test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations: 0 is not allowed; expected a whole number from 1"),
        ({"batch_size": 0}, "batch_size: 0 is not allowed"),
        ({"validate_every": 0}, "validate_every: 0 is not allowed"),
        ({"resume": True}, "run_dir: resume and tensorboard need a directory"),
        ({"tensorboard": True}, "run_dir: resume and tensorboard need a directory"),
        ({"validation_tasks": TASKS}, "validation_tasks and validate: only one of them is allowed"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        trained(**options)
