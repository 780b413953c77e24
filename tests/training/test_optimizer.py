"""The optimizer of the outer loop: Keras' own, schedules, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.adam import Adam
from maml_tf.training.checkpoint import RunDirectory
from maml_tf.training.keras_optimizer import KerasOptimizer
from maml_tf.training.optimizer import chosen_optimizer
from maml_tf.training.train import train

TASKS = SinusoidTasks(5, 5)
pytestmark = pytest.mark.usefixtures("checked_once")
SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.1),
    "momentum, schedule": lambda: keras.optimizers.SGD(SCHEDULE, momentum=0.9, nesterov=True),
    "clipped": lambda: keras.optimizers.SGD(1.0, global_clipnorm=0.1),
    "AdamW": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "accumulated": lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.01, centered=True),
}


def learner():
    keras.utils.set_random_seed(1)
    return MAML(MLP(1, (4,), 1), mean_squared_error, 0.01, 1)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("jit_compile", [True, False])
def test_the_steps_are_those_of_keras(name, jit_compile):
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 2), (2,))]
    gradients = [[rng.normal(size=p.shape).astype(np.float32) for p in start] for _ in range(4)]
    optimizer = KerasOptimizer(OPTIMIZERS[name]())
    state = optimizer.start([tf.constant(p) for p in start])
    step = tf.function(optimizer.apply, jit_compile=jit_compile, autograph=False)
    reference, variables = OPTIMIZERS[name](), [keras.Variable(p) for p in start]
    for gradient in gradients:
        state = step(state, [tf.constant(g) for g in gradient])
        reference.apply([tf.constant(g) for g in gradient], variables)
    assert int(state.iteration) == 4
    for found, expected in zip(state.params, variables, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_training_with_a_keras_optimizer_resumes_to_the_same_numbers(tmp_path, eagerly):
    def stopped(params):
        raise KeyError("stopped")

    def run(run_dir, validate=lambda params: 0.0, resume=False):
        optimizer = keras.optimizers.SGD(SCHEDULE, momentum=0.9)
        return train(
            learner(), TASKS, iterations=6, batch_size=2, optimizer=optimizer, run_dir=run_dir, validate=validate,
            validate_every=3, resume=resume,
        )  # fmt: skip

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyError, match="stopped"):
        run(tmp_path / "killed", validate=stopped)
    assert RunDirectory(tmp_path / "killed").read().iteration == 3
    resumed = run(tmp_path / "killed", resume=True)
    for one, other in zip(tf.nest.flatten(whole.state), tf.nest.flatten(resumed.state), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UsageError, match="a training with weights or an optimizer of other shapes"):
        train(learner(), TASKS, iterations=6, batch_size=2, run_dir=tmp_path / "whole")


def test_the_optimizer_that_is_given_stays_as_it_is(without_xla):
    optimizer = keras.optimizers.Adam(0.01)
    first = train(learner(), TASKS, iterations=2, batch_size=2, optimizer=optimizer)
    assert not optimizer.built
    second = train(learner(), TASKS, iterations=2, batch_size=2, optimizer=optimizer)
    np.testing.assert_array_equal(first.params[0], second.params[0])


def test_what_adam_does_with_a_schedule_keras_adam_does(eagerly):
    ours = train(learner(), TASKS, iterations=4, batch_size=2, learning_rate=SCHEDULE)
    keras_adam = keras.optimizers.Adam(SCHEDULE, epsilon=1e-8)
    theirs = train(learner(), TASKS, iterations=4, batch_size=2, optimizer=keras_adam)
    for one, other in zip(ours.params, theirs.params, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_default_is_adam_at_0003():
    assert chosen_optimizer(None, None) == Adam(0.003)
    assert isinstance(chosen_optimizer("sgd", None).optimizer, keras.optimizers.SGD)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"learning_rate": keras.optimizers.Adam()},
            "learning_rate: a Keras optimizer is given; pass it as optimizer=",
        ),
        ({"learning_rate": [0.1, 0.2]}, r"learning_rate: \[0.1, 0.2\] is not allowed; expected a number from 0"),
        ({"learning_rate": "0.1"}, "learning_rate: '0.1' is not allowed"),
        ({"learning_rate": -0.1}, "learning_rate: -0.1 is not allowed"),
        ({"learning_rate": lambda i: 0.1 if i < 3 else 0.01}, "learning_rate: the schedule cannot be compiled"),
        ({"learning_rate": lambda i: tf.fill([2], 0.1)}, r"learning_rate: the schedule returns shape \[2\]"),
        ({"optimizer": "adamm"}, "optimizer: 'adamm' is not allowed; expected a Keras optimizer"),
        ({"optimizer": 0.1}, "optimizer: 0.1 is not allowed"),
        ({"optimizer": SCHEDULE}, "optimizer: .*ExponentialDecay.* is not allowed"),
        ({"optimizer": "adam", "learning_rate": 0.1}, "learning_rate and optimizer: only one of them is allowed"),
        ({"iterations": 10.0}, "iterations: 10.0 is not allowed; expected a whole number from 1"),
        ({"iterations": True}, "iterations: True is not allowed"),
        ({"batch_size": "4"}, "batch_size: '4' is not allowed"),
        ({"num_validation_tasks": 0}, "num_validation_tasks: 0 is not allowed"),
        ({"gradient_clip": -1.0}, "gradient_clip: -1.0 is not allowed"),
        ({"validate": 3}, "validate: 3 is not allowed; expected a function"),
        ({"validation_tasks": [TASKS]}, "validation_tasks: .* is not allowed; expected a mt.Task"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named_before_anything_is_compiled(options, message):
    with pytest.raises(UsageError, match=message):
        train(learner(), TASKS, **options)
