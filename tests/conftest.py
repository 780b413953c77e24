"""Settings of all tests: what is importable, a quiet TensorFlow, its memory freed and reported."""

import ctypes
import gc
import os
import pathlib
import resource
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "data")]

PEAKS = pytest.StashKey[dict[str, float]]()


@pytest.fixture(autouse=True, scope="module")
def memory_is_freed():
    """After each test module, drops what TensorFlow and Keras keep until the process ends.

    A graph with a `tf.custom_gradient` registers its gradient functions under names that only this graph uses. They
    keep the graph alive, and TensorFlow has no way to remove them. XLA's compiled programs stay: for these, `make test`
    starts new workers between groups of tests.
    """
    before = set(_gradient_functions())
    yield
    functions = _gradient_functions()
    for name in set(functions) - before:
        if name.startswith("CustomGradient-"):
            del functions[name]
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:  # glibc keeps freed memory until it is asked to return it
        trim(0)


def _gradient_functions() -> dict[str, object]:
    """TensorFlow's gradient functions by name; nothing before a test imports TensorFlow."""
    ops = sys.modules.get("tensorflow.python.framework.ops")
    return {} if ops is None else ops.gradient_registry._registry


def pytest_sessionfinish(session):
    """A worker of pytest-xdist tells its peak memory."""
    if hasattr(session.config, "workeroutput"):
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        session.config.workeroutput["peak_gb"] = kilobytes / 2**20


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """The controller collects it."""
    if "peak_gb" in getattr(node, "workeroutput", {}):
        node.config.stash.setdefault(PEAKS, {})[node.gateway.id] = node.workeroutput["peak_gb"]


def pytest_terminal_summary(terminalreporter, config):
    peaks = config.stash.get(PEAKS, {})
    if peaks:
        listed = ", ".join(f"{worker} {peak:.1f} GB" for worker, peak in sorted(peaks.items()))
        terminalreporter.write_line(f"peak memory of the workers: {listed}")
