"""Settings of all tests: what is importable, a quiet TensorFlow, its memory freed, and learners without XLA."""

import ctypes
import dataclasses
import gc
import os
import pathlib
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parent.parent
# Growth of the process's memory from which a garbage collection, which takes half a second, pays off.
WORTH_COLLECTING = 100 * 2**20
_kept = {"bytes": 0}  # memory after the last collection
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "data")]


def pytest_collection_finish():
    """What the imports made stays until the end, and the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def memory_is_freed():
    """After a test module, drops what TensorFlow and Keras keep until the process ends.

    A graph with a `tf.custom_gradient` registers its gradient functions under names that only this graph uses. They
    keep the graph alive, and TensorFlow has no way to remove them. XLA's compiled programs stay: for these, `make test`
    runs the tests in several processes (tests/tools/run_tests.py).
    """
    before = set(_gradient_functions())
    yield
    functions = _gradient_functions()
    for name in set(functions) - before:
        if name.startswith("CustomGradient-"):
            del functions[name]
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session(free_memory=False)
    if not functions or _resident_bytes() < _kept["bytes"] + WORTH_COLLECTING:
        return
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:  # glibc keeps freed memory until it is asked to return it
        trim(0)
    _kept["bytes"] = _resident_bytes()


@pytest.fixture(scope="module")
def plain_graphs():
    """TensorFlow's graphs run as they were traced. To optimise one takes longer than its few calls in a small test."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture
def without_xla(monkeypatch, plain_graphs):
    """New learners run as TensorFlow graphs, as traced. XLA compiles for longer and keeps its programs."""
    from maml_tf.meta.task_execution import TaskExecution

    choose = TaskExecution.choose

    def choose_graphs(*arguments, **options):
        return dataclasses.replace(choose(*arguments, **options), jit_compile=False)

    monkeypatch.setattr(TaskExecution, "choose", choose_graphs)


@pytest.fixture(scope="module")
def jax_compiles_fast():
    """JAX leaves out most optimisations, here and in the processes that a test starts: to compile takes the longest."""
    try:
        import jax
    except ImportError:  # a test that needs it is skipped
        yield
        return
    before = jax.config.read("jax_disable_most_optimizations")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", True)
        yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def checked_once():
    """`mt.train` checks one class of tasks once for each class of learners in a module. A check takes long."""
    from helpers import check_tasks_once

    with pytest.MonkeyPatch.context() as monkeypatch:
        check_tasks_once(monkeypatch, lambda learner, tasks: (type(learner), type(tasks)))
        yield


@pytest.fixture
def eagerly():
    """Compiled functions run operation by operation. To trace one takes longer than its few calls in a small test."""
    from helpers import operation_by_operation

    with operation_by_operation():
        yield


def _resident_bytes() -> float:
    """The memory of this process; infinite where the system does not tell."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return float("inf")
    return pages * os.sysconf("SC_PAGE_SIZE")


def _gradient_functions() -> dict[str, object]:
    """TensorFlow's gradient functions by name; nothing before a test imports TensorFlow."""
    ops = sys.modules.get("tensorflow.python.framework.ops")
    return {} if ops is None else ops.gradient_registry._registry
