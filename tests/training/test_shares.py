"""A meta-step in shares: the same bits for any number of workers, and one device's numbers on several devices."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT, largest_difference, losing_workers

from maml_tf.baselines.joint_training import JointTraining
from maml_tf.errors import UsageError
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.methods.maml_plus_plus import MAMLPlusPlus
from maml_tf.methods.reptile import Reptile
from maml_tf.models.mlp import MLP
from maml_tf.tasks.numpy_tasks import NumPyTasks
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.shares import MirroredSpread, WorkerSpread, even_parts, mean_state
from maml_tf.training.train import train
from maml_tf.training.workers import LocalWorkers

TASKS = SinusoidTasks(3, 3)
pytestmark = pytest.mark.usefixtures("without_xla", "checked_once")


def learner(vectorized=False, **options):
    keras.utils.set_random_seed(1)
    return MAML(MLP(1, (4,), 1), mean_squared_error, 0.1, 1, vectorized=vectorized, **options)


def user_learner():
    keras.utils.set_random_seed(1)
    layers = [keras.Input((1,)), keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    return MAML(keras.Sequential([*layers, keras.layers.Dense(1)]), mean_squared_error, 0.1, 1, batch_norm="running")


def trained(one, iterations=4, **options):
    defaults = {"batch_size": 3, "seed": 1, "optimizer": "sgd"}  # Adam would enlarge rounding of gradients near 0
    return train(one, TASKS, iterations=iterations, **defaults | options)


def equal(one, other):
    lists = (tf.nest.flatten(checkpoint.state) for checkpoint in (one, other))
    return all(np.array_equal(a, b) for a, b in zip(*lists, strict=True)) and one.losses == other.losses


@pytest.mark.usefixtures("eagerly")
def test_any_number_of_workers_a_lost_one_and_a_resumed_training_give_the_same_bits(tmp_path):
    one = trained(user_learner(), 2, workers=LocalWorkers(1))
    losing = losing_workers(LocalWorkers, 3, {2})
    assert equal(one, trained(user_learner(), 2, workers=losing))
    assert losing.calls == 3 * (2 + 1)  # an iteration was repeated
    trained(user_learner(), 1, workers=LocalWorkers(2), run_dir=tmp_path)
    assert equal(one, trained(user_learner(), 2, workers=LocalWorkers(3), run_dir=tmp_path, resume=True))


def test_a_training_with_workers_goes_on_without_them(tmp_path):
    alone = trained(learner())
    trained(learner(), 2, workers=LocalWorkers(1), run_dir=tmp_path)
    resumed = trained(learner(), run_dir=tmp_path, resume=True)
    assert largest_difference(resumed.params, alone.params) < 1e-5


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    ("make", "tasks_in_batch"),
    [
        (learner, 3),
        (lambda: learner(vectorized=True), 9),
        (lambda: learner(vectorized=True, task_chunk=3), 7),
        (lambda: learner(first_order=True), 2),
        (user_learner, 3),
        (lambda: Reptile(MLP(1, (4,), 1), mean_squared_error, 0.1, 2, mini_batch=2), 9),
        (lambda: JointTraining(MLP(1, (4,), 1), mean_squared_error), 9),
        (lambda: MAMLPlusPlus(MLP(1, (4,), 1), mean_squared_error, 0.1, 1, multi_step_loss=3), 3),
    ],
    ids=["one by one", "vectorized", "chunks", "first order", "user's model", "Reptile", "joint", "MAML++"],
)
def test_the_shares_add_up_to_the_meta_step(make, tasks_in_batch):
    one = make()
    batch, seed = TASKS.sample((1, 2), tasks_in_batch), tf.constant((1, 3))
    spread = WorkerSpread(one, LocalWorkers(2), tasks_in_batch)
    params = one.initial_params()
    found, expected = spread.meta_step(params, batch, seed), one.meta_step(params, batch, seed)
    assert largest_difference([found.loss, *found.gradients], [expected.loss, *expected.gradients]) < 1e-5
    for mine, theirs in zip(found.state, expected.state, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_tasks_that_differ_in_their_numbers_of_examples_are_shared_one_by_one():
    def one_task(rng):
        x = rng.normal(size=(rng.integers(2, 5), 1)).astype(np.float32)
        return x, x, x, x

    batch = NumPyTasks(one_task).sample((1, 2), 3)
    assert batch.is_ragged
    one = learner()
    spread = WorkerSpread(one, LocalWorkers(2), 3)
    found, expected = (of.meta_step(one.initial_params(), batch, tf.constant((1, 2))) for of in (spread, one))
    assert largest_difference([found.loss, *found.gradients], [expected.loss, *expected.gradients]) < 1e-5


def test_a_state_that_is_the_same_in_all_shares_keeps_its_bits():
    value = np.float32(0.1)
    assert mean_state([[value]] * 3, [1, 1, 1])[0] == value
    assert mean_state([[np.float32(1)], [np.float32(4)]], [2, 1])[0] == pytest.approx(2)


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_even_parts(parts):
    found = even_parts(7, parts)
    assert [found[0][0], *(stop for _, stop in found)] == [0, *(start for start, _ in found[1:]), 7]
    sizes = [stop - start for start, stop in found]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 3}, "workers: 3 is not allowed; expected such as mt.RayWorkers"),
        ({"workers": LocalWorkers(6)}, "workers: 6 are not allowed; a batch of 3 tasks has 3 groups of 1"),
        ({"strategy": "mirrored"}, "strategy: a str is not allowed; expected a tf.distribute.MirroredStrategy"),
        ({"strategy": tf.distribute.OneDeviceStrategy("/cpu:0")}, "strategy: a OneDeviceStrategy is not allowed"),
        ({"strategy": tf.distribute.get_strategy(), "workers": LocalWorkers(1)}, "only one of them is allowed"),
    ],
)
def test_what_cannot_be_spread_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        trained(learner(), **options)


def test_a_strategy_with_more_devices_than_tasks_is_refused():
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with pytest.raises(UsageError, match="batch_size: 0 is not allowed with a strategy of 1 devices"):
        MirroredSpread(learner(), strategy, 0)


TWO_DEVICES = """
import contextlib, numpy as np, tensorflow as tf
device = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
import pathlib, sys, tempfile
sys.path[:0] = [".", ".."]
from helpers import operation_by_operation
from training.test_shares import TASKS, MirroredSpread, largest_difference, learner, trained, user_learner
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
def params_of(*arguments, **options):
    with contextlib.nullcontext() if "strategy" in options else operation_by_operation():
        return trained(*arguments, **options).params
# A training with two devices goes on with one, and one with one device on two.
for make, first, second in ((learner, {"strategy": strategy}, {}), (user_learner, {}, {"strategy": strategy})):
    folder = pathlib.Path(tempfile.mkdtemp())
    params_of(make(), 2, run_dir=folder, **first)
    resumed = params_of(make(), run_dir=folder, resume=True, **second)
    assert largest_difference(resumed, params_of(make())) < 1e-5, make
with strategy.scope():
    inside = learner(vectorized=True, first_order=True)
params, batch, seed = inside.initial_params(), TASKS.sample((1, 2), 5), tf.constant((1, 2))
found = tf.function(MirroredSpread(inside, strategy, 5).meta_step, autograph=False)(params, batch, seed)
expected = inside.meta_step(params, batch, seed)
assert largest_difference([found.loss, *found.gradients], [expected.loss, *expected.gradients]) < 1e-5
print("equal")
"""


def test_two_devices_give_the_numbers_of_one_up_to_rounding():
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], cwd=ROOT / "tests", capture_output=True, text=True)
    assert done.stdout == "equal\n", done.stderr
