"""How Keras' layers behave: training mode, running statistics, masks, added losses, constraints, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.meta.model_function import ModelFunction, exact_moments
from maml_tf.tasks.base import TaskBatch, TaskDistribution
from maml_tf.tasks.random import uniform
from maml_tf.training.train import train

L = keras.layers
RNG = np.random.default_rng(0)
X, Y = (RNG.normal(loc=3.0, size=(2, 6, n)).astype(np.float32) for n in (3, 1))
BATCH = TaskBatch(X, Y, X + 1, Y)


def model_of(*layers):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), *layers, L.Dense(1)])


def learner_of(*layers, num_steps=1, step_size=0.1, **options):
    return MAML(model_of(*layers), mean_squared_error, step_size, num_steps, **options)


def outputs(learner, x=X[0], params=None):
    return learner.forward(learner.initial_params() if params is None else params, x).numpy()


class Points(TaskDistribution):
    def sample(self, seed, num_tasks):
        x = uniform(seed, [num_tasks, 4, 3])
        y = tf.reduce_sum(x, axis=-1, keepdims=True)
        return TaskBatch(x, y, x, y)


def trained(learner, iterations, run_dir=None, resume=False):
    return train(learner, Points(), iterations=iterations, batch_size=2, run_dir=run_dir, resume=resume)


def test_batch_norm_uses_the_statistics_of_each_tasks_batch():
    norm = L.BatchNormalization()
    learner = learner_of(norm)
    kernel = learner.model.trainable_variables[2]
    for x in X:
        expected = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + norm.epsilon) @ kernel
        np.testing.assert_allclose(outputs(learner, x), expected, atol=1e-5)
    assert learner.param_names == [
        *(f"{norm.name}/{name}" for name in ("gamma", "beta")),
        *(f"{learner.model.layers[-1].name}/{name}" for name in ("kernel", "bias")),
    ]


def test_running_statistics_are_carried_in_theta_and_used_in_predictions():
    learner = learner_of(L.BatchNormalization(momentum=0.5), batch_norm="running", num_steps=1)
    assert [name.split("/")[1] for name in learner.param_names[-2:]] == ["moving_mean", "moving_variance"]
    theta = learner.initial_params()
    _, gradients, state = learner.meta_step(theta, BATCH)
    # One call on the support set and one on the query set, each of which halves the distance to its batch's mean.
    np.testing.assert_allclose(state[0], (0.25 * X.mean(axis=1) + 0.5 * (X + 1).mean(axis=1)).mean(axis=0), rtol=1e-5)
    assert not any(np.any(gradient) for gradient in gradients[-2:])
    after = learner.after_step(theta, state)
    assert after[-2] is state[0]
    norm, dense = learner.model.layers
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(3))
    expected = (X[0] - state[0]) / np.sqrt(state[1] + norm.epsilon) @ dense.kernel
    np.testing.assert_allclose(outputs(learner, X[0], after), expected, atol=1e-5)


def test_running_statistics_are_trained_saved_and_resumed(tmp_path, eagerly):
    def fresh():
        return learner_of(L.BatchNormalization(), L.Dropout(0.5), batch_norm="running")

    whole = trained(fresh(), 4)
    trained(fresh(), 2, tmp_path)
    resumed = trained(fresh(), 4, tmp_path, resume=True)
    for ours, theirs in zip(whole.params, resumed.params, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.all(np.asarray(whole.params[-2]) != 0)


def test_a_frozen_batch_norm_keeps_its_running_statistics():
    norm = L.BatchNormalization()
    model = model_of(norm)
    norm.trainable = False
    learner = MAML(model, mean_squared_error, 0.1, 1)
    np.testing.assert_allclose(outputs(learner), model(X[0], training=False), rtol=1e-6)


def test_training_false_turns_dropout_off_in_meta_training():
    dropped, plain = learner_of(L.Dropout(0.5), training=False), learner_of()
    assert float(dropped.meta_gradient(dropped.initial_params(), BATCH, (1, 2))[0]) == float(
        plain.meta_gradient(plain.initial_params(), BATCH)[0]
    )


def test_masks_differ_between_steps_and_tasks_and_come_from_the_seed():
    masks = []

    class Recording(L.Dropout):
        def call(self, inputs, training=False):
            found = super().call(tf.ones_like(inputs), training=training)
            masks.append(found.numpy())
            return found * inputs

    learner = learner_of(L.Dense(40), Recording(0.5), num_steps=2)
    masks.clear()

    def draw(seed):
        learner.meta_step(learner.initial_params(), BATCH, seed)
        found = [mask.tobytes() for mask in masks]
        masks.clear()
        return found

    first = draw((1, 2))
    assert len(set(first)) == len(first) == 2 * 3  # tasks, and two inner steps and the query set
    assert draw((1, 2)) == first
    assert not set(draw((1, 3))) & set(first)
    learner.forward(learner.initial_params(), X[0])
    adapted = learner.adapt(X[0], Y[0])
    adapted(X[0])
    assert all(np.all(mask == 1) for mask in masks)  # off in predictions and in adaptation at test
    masks.clear()
    learner.adapt(X[0], Y[0], training=True, seed=(4, 4))
    assert all(np.any(mask == 0) for mask in masks)
    assert len({mask.tobytes() for mask in masks}) == 2


def test_a_training_with_masks_is_reproducible(eagerly):
    losses = [float(trained(learner_of(L.Dropout(0.5)), 3).losses[-1][1]) for _ in range(2)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradient_checkpointing_draws_the_same_masks(checkpointing):
    frozen = L.Dense(3, name="frozen")
    model = model_of(frozen, L.Dense(5, "tanh"), L.Dropout(0.5))
    frozen.trainable = False
    learner = MAML(model, mean_squared_error, 0.1, 2, gradient_checkpointing=checkpointing)
    loss, gradients = tf.function(learner.meta_gradient, autograph=False)(learner.initial_params(), BATCH, (1, 2))
    plain = MAML(model, mean_squared_error, 0.1, 2)
    expected_loss, expected = plain.meta_gradient(learner.initial_params(), BATCH, (1, 2))
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    for found, reference in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, reference, rtol=1e-3, atol=1e-4)


class Penalty(L.Layer):
    def call(self, x):
        self.add_loss(tf.constant(2.5))
        self.add_loss(tf.reduce_mean(x))
        return x


@pytest.mark.parametrize(
    ("layer", "added"),
    [
        (lambda: L.Dense(2, kernel_regularizer="l2"), lambda m: 0.01 * np.sum(np.square(m.layers[0].kernel))),
        (lambda: L.Dense(2, activity_regularizer="l1"), lambda m: 0.01 * np.sum(np.abs(m.layers[0](X[0]))) / 6),
        (Penalty, lambda m: 2.5 + X[0].mean()),
    ],
    ids=["regularizer", "activity regularizer", "add_loss"],
)
def test_the_losses_that_a_model_adds_count(layer, added):
    learner = learner_of(layer(), step_size=0.0)
    loss, _ = learner.meta_gradient(learner.initial_params(), TaskBatch(*(part[:1] for part in (X, Y, X, Y))))
    expected = np.mean((learner.model(X[0]) - Y[0]) ** 2) + added(learner.model)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_added_losses_are_a_part_of_the_inner_loss():
    class Pull(keras.regularizers.Regularizer):
        def __call__(self, x):
            return tf.reduce_sum(x)

    learner = learner_of(L.Dense(2, bias_regularizer=Pull()), step_size=0.5)
    plain = learner_of(L.Dense(2), step_size=0.5)
    pulled, free = learner.adapt(X[0], Y[0]).params[1], plain.adapt(X[0], Y[0]).params[1]
    np.testing.assert_allclose(pulled, free - 0.5, rtol=1e-5)


def test_constraints_hold_after_every_outer_step():
    learner = learner_of(L.Dense(4, kernel_constraint=keras.constraints.MaxNorm(0.1)))
    kernel = trained(learner, 2).params[0]
    assert np.linalg.norm(kernel, axis=0).max() <= 0.1 + 1e-5


class Averages(L.Layer):
    """Subtracts a running mean that it updates in training."""

    def build(self, shape):
        self.mean = self.add_weight(shape=shape[1:], initializer="zeros", name="mean", trainable=False)

    def call(self, x, training=False):
        if training:
            self.mean.assign(0.5 * self.mean + 0.5 * tf.reduce_mean(x, axis=0))
        return x - self.mean


def test_the_running_values_of_other_layers_are_carried_too():
    learner = learner_of(Averages(name="averages"), num_steps=0)
    assert learner.param_names[-1] == "averages/mean"
    state = learner.meta_step(learner.initial_params(), BATCH).state
    np.testing.assert_allclose(state[0], 0.5 * (X + 1).mean(axis=(0, 1)), rtol=1e-5)


class Counts(L.Layer):
    def build(self, shape):
        self.calls = self.add_weight(shape=(), dtype="int32", initializer="zeros", name="calls", trainable=False)

    def call(self, x):
        self.calls.assign(self.calls + 1)
        return x


class Noise(L.Layer):
    def call(self, x, training=False):
        return keras.random.dropout(x, 0.5) if training else x


class InLoop(L.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, x):
        _, x = tf.while_loop(
            lambda i, _: i < 2,
            lambda i, x: (i + 1, x + keras.random.normal(tf.shape(x), seed=self.generator)),
            [tf.constant(0), x],
        )
        return x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Counts, "changes .*counts/calls .int32. when it is called, which cannot be carried from task to task. Seed"),
        (Noise, "changes .*seed_generator_state .* not one of the model's variables: .* needs a keras.random.Seed"),
        (lambda: L.SpectralNormalization(L.Dense(2)), "changes .*/kernel .a weight. when it is called"),
        (InLoop, "changes its variable .*seed_generator_state inside a TensorFlow loop"),
    ],
)
def test_state_that_cannot_be_carried_is_refused_by_name(layer, message):
    learner = learner_of(layer())
    with pytest.raises(ValueError, match=message):
        tf.function(learner.meta_gradient, autograph=False)(learner.initial_params(), BATCH)


def test_a_stateful_recurrent_layer_is_refused():
    model = keras.Sequential([keras.Input(batch_shape=(6, 3, 1)), L.GRU(2, stateful=True), L.Dense(1)])
    learner = MAML(model, mean_squared_error, 0.1, 1)
    with pytest.raises(ValueError, match=r"changes .*gru.* a recurrent layer may not be stateful"):
        learner.adapt(X[0][..., np.newaxis], Y[0])


class Raw(L.Layer):
    def __init__(self):
        super().__init__(name="raw")
        self.scales = [tf.Variable(1.0)]

    def call(self, x):
        return x * self.scales[0]


def test_a_variable_that_keras_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"layer raw: its attribute 'scales' is a tf.Variable, which Keras neither"):
        learner_of(Raw())


def test_wrong_choices_are_refused():
    with pytest.raises(ValueError, match="batch_norm is 'moving'; allowed are 'batch' and 'running'"):
        learner_of(batch_norm="moving")
    with pytest.raises(ValueError, match=r"layer renormed has renorm=True, which needs batch_norm='running'"):
        learner_of(L.BatchNormalization(renorm=True, name="renormed"))
    with pytest.raises(ValueError, match="vectorized=True needs a model whose weights may have a task axis"):
        learner_of(vectorized=True)


def test_exact_moments_are_those_of_tensorflow():
    x = tf.constant(RNG.normal(size=(3, 4, 5)))
    for axes, keepdims in (([0], False), ([0, 1], True), ([-1], False)):
        pairs = zip(exact_moments(x, axes, None, keepdims), tf.nn.moments(x, axes, None, keepdims), strict=True)
        for ours, theirs in pairs:
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_keras_and_tensorflow_are_as_before_after_a_call():
    model = model_of(L.BatchNormalization(), L.Dropout(0.5))
    moments, values = tf.nn.moments, [v.numpy() for v in model.variables]
    function = ModelFunction(model)
    function([tf.convert_to_tensor(v) for v in model.trainable_variables], [], X[0], training=True)
    assert tf.nn.moments is moments
    assert "call" not in model.layers[0].__dict__
    for variable, value in zip(model.variables, values, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_the_keras_model_of_an_adapted_one_has_the_statistics_of_the_support_set():
    learner = learner_of(L.BatchNormalization())
    adapted = learner.adapt(X[0], Y[0])
    with pytest.warns(UserWarning, match="running statistics of the support set"):
        model = adapted.keras_model()
    np.testing.assert_allclose(model(X[0], training=False), adapted(X[0]), atol=1e-5)
    assert np.abs(model(X[1], training=False) - adapted(X[1])).max() > 1e-3


def test_the_keras_model_of_one_with_running_statistics_predicts_the_same():
    adapted = learner_of(L.BatchNormalization(momentum=0.5), batch_norm="running").adapt(X[0], Y[0])
    np.testing.assert_allclose(adapted.keras_model()(X[1], training=False), adapted(X[1]), rtol=1e-5)
