"""`import maml_tf as mt`: its names, and that it loads nothing heavy before one is used."""

import ast
import importlib
import pathlib
import subprocess
import sys
import tomllib

import numpy as np
import pytest

import maml_tf as mt

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("maml_tf", "maml_tf.methods", "maml_tf.models", "maml_tf.tasks")


def python(code):
    """The output of a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_import_does_not_load_tensorflow():
    heavy = "[name for name in ('tensorflow', 'keras', 'gymnasium', 'mujoco') if name in sys.modules]"
    found = python(f"import sys, maml_tf as mt; mt.tasks.ImageSet, mt.models, dir(mt); print({heavy})")
    assert found.strip() == "[]"


def lazily_imported(package):
    """The package's lazy names, and those that a type checker is told of."""
    source = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    (exports,) = (node for node in ast.walk(source) if isinstance(node, ast.Dict))
    (checked,) = (node for node in source.body if isinstance(node, ast.If))
    imports = [alias for node in checked.body for alias in node.names]
    return [key.value for key in exports.keys], [alias.asname for alias in imports]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_known_to_type_checkers(package):
    names, checked = lazily_imported(package)
    module = importlib.import_module(package)
    for name in names:
        assert getattr(module, name) is not None
        assert name in dir(module)
    assert sorted(checked) == sorted(names)


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(AttributeError, match="module 'maml_tf' has no attribute 'mamal'; it has MAML, "):
        _ = mt.mamal


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert mt.__version__ == project["version"]


def test_train_adapt_and_evaluate_from_the_public_names(eagerly):
    tasks = mt.tasks.SinusoidTasks(shots=5, queries=5)
    learner = mt.MAML(mt.models.MLP(1, (8,), 1), mt.losses.mean_squared_error, step_size=0.01, num_steps=1)
    checkpoint = mt.train(learner, tasks, iterations=4, batch_size=4, learning_rate=0.01, seed=1)
    assert isinstance(checkpoint, mt.Checkpoint)
    batch = tasks.sample((1, 2), 1)
    adapted = learner.adapt(batch.support_x[0], batch.support_y[0], num_steps=2, params=checkpoint.params)
    assert adapted.predict(batch.query_x[0]).shape == (5, 1)
    scores = mt.evaluate(learner, tasks, params=checkpoint.params, num_tasks=6, num_steps=2)
    assert scores.scores.shape == (6, 3)
    assert scores.mean.shape == scores.ci95.shape == (3,)
    untrained = mt.evaluate(learner, tasks, num_tasks=6, num_steps=2)
    assert np.abs(untrained.scores - scores.scores).max() > 1e-3
