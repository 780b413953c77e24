"""The walks of docs/extending.md run as they are written."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    """A folder with the files of the page, each named by the first line of its block."""
    for _, name, text in re.findall(r"```(python|yaml)\n# ([\w.]+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_environment_trains(folder):
    options = ["line_navigation_maml.yaml", "--profile", "smoke", "--runs", "runs", "--results", "results"]
    program = "import sys, line; from maml_tf.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "train", *options]
    done = subprocess.run(command, cwd=folder, env={"PYTHONPATH": f"{ROOT}:{folder}"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "line_navigation_maml return: 0: " in done.stdout + done.stderr


def test_the_step_sizes_are_meta_learned(folder, monkeypatch):
    import keras
    import tensorflow as tf

    import maml_tf as mt

    monkeypatch.syspath_prepend(str(folder))
    import meta_sgd

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    learner = mt.MAML(model, mt.losses.mean_squared_error, step_size=0.1, num_steps=1, inner_update=meta_sgd.MetaSGD())
    x = tf.reshape(tf.linspace(-1.0, 1.0, 15), [3, 5, 1])
    _, gradients = learner.meta_gradient(learner.initial_params(), mt.TaskBatch(x, 2 * x, x, 2 * x))
    assert learner.param_names[4:] == [f"{name}/step_size" for name in learner.param_names[:4]]
    assert all(float(tf.norm(gradient)) > 0 for gradient in gradients[4:])
