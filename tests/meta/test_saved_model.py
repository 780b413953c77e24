"""The adaptation as a SavedModel: what it gives in a process without this library, and what it refuses."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.meta.inner_updates import InnerUpdate
from maml_tf.meta.losses import mean_cross_entropy, mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP

RNG = np.random.default_rng(0)
SERVE = """
import json, pathlib, sys
import numpy as np
import tensorflow as tf

answers = {}
for folder in sys.argv[1:]:
    served = tf.saved_model.load(folder)
    given = np.load(pathlib.Path(folder).with_suffix(".npz"))
    x, y, new = (tf.constant(given[name]) for name in ("x", "y", "new"))
    weights = served.adapt(x, y)
    signature = served.signatures["adapt_and_predict"](support_x=x, support_y=y, query_x=new)
    answers[folder] = [
        np.asarray(output).tolist()
        for output in (served.adapt_and_predict(x, y, new), served.predict(weights, new), *signature.values())
    ]
assert not [name for name in sys.modules if name.startswith("maml_tf")]
print(json.dumps(answers))
"""


class LearnedSteps(InnerUpdate):
    """Gradient descent with a learned step for each weight."""

    def initial_params(self, weights, step_size):
        return {f"step/{name}": tf.fill(weight.shape, step_size) for name, weight in weights.items()}

    def __call__(self, weights, gradients, own, step_size, step):
        return [w - a * g for w, a, g in zip(weights, own, gradients, strict=True)]


def dense():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])


def classes():
    """Running statistics in theta, and masks."""
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return MAML(model, loss, 0.1, 2, batch_norm="running")


def numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


CASES = {
    "regression": lambda: (MAML(dense(), mean_squared_error, 0.1, 3), numbers(4, 3), numbers(4, 2), numbers(6, 3)),
    "classification": lambda: (classes(), numbers(3, 2), np.arange(3), numbers(5, 2)),
}


def test_another_process_adapts_and_predicts_as_the_learner(tmp_path):
    expected = {}
    for name, case in CASES.items():
        learner, x, y, new = case()
        params = [value + 0.1 for value in learner.initial_params()]  # not the model's own
        learner.export(tmp_path / name, x, y, params=params)
        x = x[::-1].copy()  # another support set than the exported one
        np.savez(tmp_path / f"{name}.npz", x=x, y=y, new=new)
        expected[name] = learner.adapt(x, y, params=params)(new).numpy()
    folders = [str(tmp_path / name) for name in CASES]
    ended = subprocess.run(
        [sys.executable, "-c", SERVE, *folders], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    answers = json.loads(ended.stdout.splitlines()[-1])
    for name, wanted in expected.items():
        assert len(answers[str(tmp_path / name)]) == 3
        for found in answers[str(tmp_path / name)]:
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_learned_inner_update_is_saved_with_its_parameters(tmp_path):
    learner = MAML(dense(), mean_squared_error, 0.1, 2, inner_update=LearnedSteps())
    params = learner.initial_params()
    weights, added, _ = learner.parts(params)
    params = [*weights, *(2 * step for step in added)]
    x, y, new = numbers(4, 3), numbers(4, 2), numbers(6, 3)
    learner.export(tmp_path / "served", x, y, params=params)
    served = tf.saved_model.load(tmp_path / "served")
    found = served.adapt_and_predict(x, y, new)
    np.testing.assert_allclose(found, learner.adapt(x, y, params=params)(new), rtol=1e-5, atol=1e-6)
    assert set(served.adapt(x, y)) == set(learner.param_names[: len(weights)])


TASKS = {
    "one by one": lambda: (MAML(dense(), mean_squared_error, 0.1, 1), (4, 3), numbers(3, 4, 2), (5, 3)),
    "vectorised": lambda: (
        MAML(MLP(4, (3,), 2, batch_norm=True), mean_cross_entropy, 0.1, 1),
        (2, 2, 2, 1),
        np.array([[0, 1], [1, 0], [1, 1]]),
        (5, 2, 2, 1),
    ),
}


@pytest.mark.parametrize("case", TASKS)
def test_several_tasks_are_adapted_as_each_alone(case, tmp_path):
    learner, support, y, query = TASKS[case]()
    assert learner.task_execution.vectorized == (case == "vectorised")
    x, new = numbers(3, *support), numbers(3, *query)
    learner.export(tmp_path / "served", x[0], y[0])
    served = tf.saved_model.load(tmp_path / "served")
    expected = [learner.adapt(*task)(queries) for *task, queries in zip(x, y, new, strict=True)]
    np.testing.assert_allclose(served.adapt_and_predict_tasks(x, y, new), expected, rtol=1e-4, atol=1e-5)
    weights = served.adapt_tasks(x, y)
    of_last = {name: values[-1] for name, values in weights.items()}
    np.testing.assert_allclose(served.predict(of_last, new[-1]), expected[-1], rtol=1e-4, atol=1e-5)


def test_structures_keep_their_form(tmp_path):
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((1,), name="b")}
    joined = keras.layers.Concatenate()([inputs["a"], inputs["b"]])
    model = keras.Model(inputs, {"u": keras.layers.Dense(1)(joined), "v": keras.layers.Dense(2)(joined)})
    learner = MAML(model, mean_squared_error, 0.1, 1)
    x, y = {"a": numbers(4, 2), "b": numbers(4, 1)}, {"u": numbers(4, 1), "v": numbers(4, 2)}
    learner.export(tmp_path / "served", x, y)
    served = tf.saved_model.load(tmp_path / "served")
    found = served.adapt_and_predict(x, y, x)
    for name, wanted in learner.adapt(x, y)(x).items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-6)


def test_wrong_shapes_and_labels_are_errors_in_the_other_process_too(tmp_path):
    learner, x, y, new = CASES["classification"]()
    learner.export(tmp_path / "served", x, y)
    served = tf.saved_model.load(tmp_path / "served")
    x, y, new = (tf.constant(array) for array in (x, y, new))
    for wrong in [(x[:2], y[:2], new), (x, y, new[0]), (x, tf.cast(y, tf.float64), new)]:
        with pytest.raises(TypeError, match="Can not cast"):
            served.adapt_and_predict(*wrong)
    with pytest.raises(tf.errors.InvalidArgumentError, match="label value of 7"):
        served.adapt_and_predict(x, tf.constant([0, 1, 7], y.dtype), new)


def test_a_saved_model_is_replaced_and_nothing_else_is(tmp_path):
    learner, x, y, _ = CASES["regression"]()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("text")
    for path in [tmp_path / "thesis", tmp_path / "thesis" / "chapter.tex"]:
        with pytest.raises(UsageError, match="something else than a SavedModel"):
            learner.export(path, x, y)
    with pytest.raises(UsageError, match=r"chapter\.tex"):
        learner.export(tmp_path / "thesis" / "chapter.tex" / "served", x, y)
    for _ in range(2):
        learner.adapt(x, y).export(tmp_path / "served")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["served", "thesis"]
