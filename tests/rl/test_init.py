"""The public names of reinforcement learning."""

import ast
import pathlib

import pytest
from helpers import run_python

from maml_tf import rl

NAMES = sorted(rl._MODULES)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_its_own(name):
    value = getattr(rl, name)
    assert getattr(value, "__name__", name) == name
    assert name in dir(rl)


def test_the_type_checker_sees_the_same_names():
    """Those that are imported for it alone are those that `__getattr__` finds."""
    tree = ast.parse(pathlib.Path(rl.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module.startswith("maml")]
    found = {alias.name: node.module.removeprefix("maml_tf.rl.") for node in imports for alias in node.names}
    assert found == rl._MODULES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'maml_tf.rl' has no attribute 'PPO'"):
        rl.PPO  # noqa: B018


def test_train_is_the_function_with_any_imports_before_it():
    code = "import maml_tf.rl.training, maml_tf.experiments.rl, maml_tf.rl; print(maml_tf.rl.train.__module__)"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "maml_tf.rl.training"


def test_importing_the_package_loads_neither_tensorflow_nor_gymnasium():
    code = "import sys, maml_tf.rl; print(sorted({'tensorflow', 'gymnasium', 'mujoco', 'keras'} & sys.modules.keys()))"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
