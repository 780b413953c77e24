"""Meta-training: the same numbers after any interruption, the best model, curves, schedules, errors."""

import dataclasses
import functools
import itertools
import math
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import share_loops

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.errors import UsageError
from maml_tf.meta.losses import cross_entropy_over_shots, mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks import random
from maml_tf.tasks.episodes import Episodes
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.checkpoint import RunDirectory
from maml_tf.training.divergence import is_finite, read_kept
from maml_tf.training.meta_training import MetaTraining
from maml_tf.training.pace import Pace
from maml_tf.training.stopping import TrainingStoppedError
from maml_tf.training.train import half_way, negative_meta_loss, train

TASKS = SinusoidTasks(5, 5)
pytestmark = pytest.mark.usefixtures("without_xla")  # tests/training/test_loop.py compares with XLA and without


@functools.cache
def learner():
    keras.utils.set_random_seed(1)
    maml = MAML(MLP(1, (8,), 1), mean_squared_error, 0.01, 1)
    maml.task_execution = dataclasses.replace(maml.task_execution, jit_compile=False)  # is ready sooner
    return maml


@pytest.fixture(autouse=True, scope="module")
def shared_loops():
    """Trainings of the same learner, tasks and options take the same loop, which is a function of the state."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_loops(monkeypatch)
        yield
    learner.cache_clear()


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
    reached = 10 * (killed_after + 1)  # saved before its validation, which was killed
    saved = RunDirectory(tmp_path / "run").read()
    assert (saved.iteration, saved.validation_due, len(saved.validations)) == (reached, True, killed_after)
    with pytest.raises(UsageError, match=rf"stopped at iteration {reached} of 40: --resume .* --restart"):
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


@pytest.mark.parametrize("iterations", [1, 40])
@pytest.mark.parametrize("rate", [math.nan, math.inf])
def test_parameters_that_are_not_finite_stop_even_in_the_last_iteration(tmp_path, iterations, rate):
    message = r"a test: iteration 0 \(seed 1\): a parameter or gradient is not finite. Try a smaller learning rate"
    with pytest.raises(FloatingPointError, match=message):
        trained(tmp_path, learning_rate=rate, label="a test", iterations=iterations)
    saved = RunDirectory(tmp_path).read()
    assert (saved.iteration, saved.losses) == (0, [])
    assert is_finite(saved.state)


def test_the_state_before_the_iteration_that_diverges_is_kept_and_its_tasks_too(tmp_path):
    def schedule(iteration):
        return tf.where(iteration == 23, math.nan, 0.001)

    with pytest.raises(FloatingPointError, match=r"iteration 23 \(seed 1\): .*its tasks in diverged.npz"):
        trained(tmp_path, learning_rate=schedule)
    saved, whole = RunDirectory(tmp_path).read(), trained(iterations=23, validate=None)
    assert (saved.iteration, saved.best_iteration) == (23, 10)
    assert equal(saved.state.params, whole.state.params)
    kept = read_kept(RunDirectory(tmp_path))
    batch = TASKS.sample(tf.random.fold_in(tf.constant((1, 0)), 23, alg="philox"), 4)
    assert (kept["iteration"], kept["seed"]) == (23, 1)
    assert equal([kept[f"batch_{index}"] for index in range(4)], batch)
    with pytest.raises(FloatingPointError, match="iteration 23"):  # the same again, from the saved state
        trained(tmp_path, learning_rate=schedule, resume=True)


def test_a_validation_score_that_is_not_finite_stops(tmp_path):
    scores = iter([1.0, math.nan])
    with pytest.raises(FloatingPointError, match=r"iteration 20 \(seed 1\): the validation score is nan"):
        trained(tmp_path, validate=lambda params: next(scores))
    saved = RunDirectory(tmp_path).read()
    assert (saved.iteration, saved.best_iteration, saved.validations) == (20, 10, [[10.0, 1.0]])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("during", ["an iteration", "a validation"])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, monkeypatch, number, during):
    calls = []

    def validate(params):
        calls.append(1)
        if during == "a validation" and len(calls) == 2:
            os.kill(os.getpid(), number)
        return -float(tf.norm(params[0]))

    closed = MetaTraining._close_row

    def close_row(self, checkpoint, write_scalars):
        if during == "an iteration" and checkpoint.iteration == 15:
            os.kill(os.getpid(), number)
        closed(self, checkpoint, write_scalars)

    monkeypatch.setattr(MetaTraining, "_close_row", close_row)
    before = signal.getsignal(number)
    reached = 15 if during == "an iteration" else 20
    with pytest.raises(TrainingStoppedError, match=rf"stopped at iteration {reached} of 40; the state is ") as told:
        trained(tmp_path / "run", validate=validate)
    assert told.value.number == number
    assert signal.getsignal(number) == before
    monkeypatch.undo()
    resumed, whole = trained(tmp_path / "run", resume=True), trained()
    assert equal(tf.nest.flatten(resumed.state), tf.nest.flatten(whole.state))
    assert (resumed.losses, resumed.validations) == (whole.losses, whole.validations)


def test_calls_of_any_length_log_the_same_losses(tmp_path, monkeypatch):
    whole = trained(iterations=400, validate=None)
    lengths = itertools.cycle([1, 3, 2])
    monkeypatch.setattr(Pace, "iterations", property(lambda self: next(lengths), lambda self, value: None), False)
    monkeypatch.setattr(MetaTraining, "_time_to_save", lambda self: True)
    divided = trained(tmp_path, iterations=400, validate=None)
    assert divided.losses == whole.losses
    assert equal(divided.state.params, whole.state.params)


def test_a_second_training_in_the_same_directory_is_refused(tmp_path):
    def validate(params):
        with pytest.raises(UsageError, match=rf"another training is under way there: process {os.getpid()} on "):
            trained(tmp_path, validate=None, iterations=50, resume=True)
        return 0.0

    trained(tmp_path, validate=validate, validate_every=40)


def test_examples_belong_to_the_identity_of_a_training(tmp_path, eagerly):
    keras.utils.set_random_seed(1)
    images = np.zeros((3, 4, 2, 2, 1), np.uint8)
    maml = MAML(MLP(4, (3,), 3), cross_entropy_over_shots(1), 0.01, 1)

    def classified(images, iterations):
        tasks = Episodes(images, 3, 1, 1)
        return train(maml, tasks, iterations=iterations, batch_size=2, run_dir=tmp_path, resume=True)

    assert classified(images, 2).data
    assert classified(images, 2).iteration == 2
    with pytest.raises(UsageError, match="trained on other data: the SHA-256 of the examples was"):
        classified(images + 1, 3)
    assert classified(images, 3).iteration == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations: 0 is not allowed; expected a whole number from 1"),
        ({"batch_size": 0}, "batch_size: 0 is not allowed"),
        ({"validate_every": 0}, "validate_every: 0 is not allowed"),
        ({"seed": -1}, r"seed: -1 is not allowed; expected a whole number from 0 to 2\^31 - 1"),
        ({"seed": 2**40}, "seed: 1099511627776 is not allowed"),
        ({"seed": 1.5}, "seed: 1.5 is not allowed"),
        ({"seed": True}, "seed: True is not allowed"),
        ({"seed": None}, "seed: None is not allowed"),
        ({"gradient_clip": 0}, "gradient_clip: 0 is not allowed; expected a number above 0"),
        ({"run_dir": __file__}, r"run_dir .*test_train.py: cannot be written to \(File exists"),
        ({"run_dir": "/proc/mine"}, r"run_dir /proc/mine: cannot be written to"),
        ({"resume": True}, "run_dir: resume and tensorboard need a directory"),
        ({"tensorboard": True}, "run_dir: resume and tensorboard need a directory"),
        ({"validation_tasks": TASKS}, "validation_tasks and validate: only one of them is allowed"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        trained(**options)
