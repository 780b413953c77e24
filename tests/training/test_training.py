"""Adam, the compiled loop, saving and resuming: the same numbers whatever the interruptions."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import MetaSpec
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.adam import Adam, TrainingState
from maml_tf.training.checkpoint import RunDirectory, read_weights, write_weights
from maml_tf.training.loop import compiled_loop
from maml_tf.training.train import meta_train

META = MetaSpec(iterations=40, batch_size=4, learning_rate=0.001)
TASKS = SinusoidTasks(5, 5)


def learner():
    keras.utils.set_random_seed(1)
    return MAML(MLP(1, (8,), 1), mean_squared_error, 0.01, 1)


def train(folder, validate=None, meta=META, seed=1, **options):
    maml = learner()
    return meta_train(
        maml,
        TASKS,
        maml.initial_params(),
        meta,
        seed=seed,
        run_dir=RunDirectory(folder),
        jit_compile=True,
        validate=validate or (lambda params: -float(tf.norm(params[0]))),
        validate_every=10,
        **options,
    )


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_adam_is_keras_adam_with_epsilon_1e8():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 2)).astype(np.float32)
    state, adam = TrainingState.start([tf.constant(start)]), Adam(0.01)
    variable, reference = keras.Variable(start), keras.optimizers.Adam(0.01, epsilon=1e-8)
    for scale in (1.0, 1e-6, 0.0, 3.0):
        gradient = tf.constant(scale * rng.normal(size=(3, 2)), tf.float32)
        state = adam.apply(state, [gradient])
        reference.apply([gradient], [variable])
        np.testing.assert_allclose(state.params[0], variable.numpy(), rtol=2e-5)
    assert int(state.iteration) == 4


@pytest.mark.parametrize("jit_compile", [True, False])
def test_the_loop_is_so_many_plain_steps_however_it_is_divided(jit_compile):
    maml = learner()
    start = TrainingState.start(maml.initial_params())
    loop = compiled_loop(maml, TASKS, Adam(0.001), batch_size=4, seed=(7, 0), jit_compile=jit_compile)
    at_once, _ = loop(start, tf.constant(6))
    in_parts = start
    for n in (1, 2, 3):
        in_parts, loss = loop(in_parts, tf.constant(n))
    assert equal(at_once.params, in_parts.params)
    plain, losses = start, []
    for i in range(6):
        batch = TASKS.sample(tf.random.fold_in(tf.constant((7, 0)), i, alg="philox"), 4)
        value, gradients = maml.meta_gradient(plain.params, batch)
        plain = Adam(0.001).apply(plain, gradients)
        losses.append(float(value))
    for a, b in zip(at_once.params, plain.params, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert float(loss) == pytest.approx(np.mean(losses[3:]), rel=1e-4)


def test_the_clip_bounds_every_entry_of_the_meta_gradient():
    class Steep:
        def meta_gradient(self, params, batch):
            return tf.constant(0.0), [tf.constant([-50.0, 0.5, 50.0])]

    class Plain:
        def apply(self, state, gradients):
            return state._replace(iteration=state.iteration + 1, params=[state.params[0] - gradients[0]])

    start = TrainingState.start([tf.zeros(3)])
    loop = compiled_loop(Steep(), TASKS, Plain(), batch_size=1, seed=(0, 0), gradient_clip=10.0)
    np.testing.assert_array_equal(loop(start, tf.constant(1))[0].params[0], [10.0, -0.5, -10.0])


def test_same_seed_same_result_and_another_seed_another(tmp_path):
    a, b, c = train(tmp_path / "a"), train(tmp_path / "b"), train(tmp_path / "c", seed=2)
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

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", validate=killed)
    assert RunDirectory(tmp_path / "run").read().iteration == 10 * killed_after
    with pytest.raises(UsageError, match=rf"stopped at iteration {10 * killed_after} of 40: --resume .* --restart"):
        train(tmp_path / "run")
    resumed, whole = train(tmp_path / "run", resume=True), train(tmp_path / "whole")
    for ours, theirs in ((resumed.state, whole.state), ([*resumed.best_params], [*whole.best_params])):
        assert equal(tf.nest.flatten(ours), tf.nest.flatten(theirs))
    assert resumed.losses == whole.losses
    assert resumed.validations == whole.validations
    assert (resumed.best_score, resumed.best_iteration) == (whole.best_score, whole.best_iteration)


def test_a_finished_training_is_taken_as_it_is(tmp_path):
    first = train(tmp_path)
    second = train(tmp_path, validate=lambda params: pytest.fail("trained again"))
    assert equal(first.state.params, second.state.params)


def test_the_best_model_is_kept_and_the_last_one_too(tmp_path):
    scores = iter([1.0, 5.0, 3.0, 5.0])
    saved = train(tmp_path, validate=lambda params: next(scores))
    assert (saved.best_iteration, saved.best_score) == (20, 5.0)
    assert not equal(saved.best_params, saved.state.params)
    assert saved.chosen_params is saved.best_params


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was_saved(tmp_path):
    with pytest.raises(FloatingPointError, match="the meta-loss is nan between iterations"):
        train(tmp_path, meta=dataclasses.replace(META, learning_rate=float("nan")))


@pytest.mark.parametrize("content", [b"not an archive", b""])
def test_a_damaged_state_is_named(tmp_path, content):
    (tmp_path / "state.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"state.npz: not a saved training .* --restart begins anew"):
        train(tmp_path, resume=True)


def test_weights_are_written_by_name_and_checked_when_read(tmp_path):
    maml = learner()
    path = tmp_path / "weights.npz"
    write_weights(path, maml.model, maml.initial_params())
    assert equal(read_weights(path, MLP(1, (8,), 1)), maml.initial_params())
    with np.load(path) as archive:
        assert sorted(archive.files) == ["dense_1/bias", "dense_1/kernel", "output/bias", "output/kernel"]
    with pytest.raises(
        UsageError, match=r"weights of another model: dense_1/bias has shape \(8,\), the model's is \(9,\)"
    ):
        read_weights(path, MLP(1, (9,), 1))
    with pytest.raises(UsageError, match=r"absent.npz: no weights can be read"):
        read_weights(tmp_path / "absent.npz", maml.model)
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(UsageError, match=r"empty.npz: no weights can be read"):
        read_weights(tmp_path / "empty.npz", maml.model)


def test_the_commits_that_trained_are_noted_in_order(tmp_path):
    saved = train(tmp_path / "run")
    assert RunDirectory(tmp_path / "run").read().trained_at == []
    for commit in ("a", "a", "b", "a", None):
        RunDirectory(tmp_path / "run", commit).write(saved)
        saved = RunDirectory(tmp_path / "run").read()
    assert saved.trained_at == ["a", "b", "a"]


def test_tensorboard_scalars_are_written_on_request(tmp_path):
    train(tmp_path / "quiet")
    train(tmp_path / "logged", tensorboard=True)
    assert not list((tmp_path / "quiet").glob("events*"))
    assert list((tmp_path / "logged").glob("events*"))
