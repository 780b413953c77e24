"""A test in parts: a killed one goes on, two processes share one, and nothing stale is read."""

import multiprocessing
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.experiments.resumable_test import ResumableTest, code_digest, params_digest


def resumable(folder: pathlib.Path | None, weights: str = "a", total: int = 3) -> ResumableTest:
    return ResumableTest(folder, {"weights": weights}, "a test", total)


def part(calls: list[str], name: str):
    def compute():
        calls.append(name)
        return np.random.default_rng(len(name)).normal(size=(4, 2)).astype(np.float32)

    return compute


NAMES = ("one", "three", "seventh")


def test_a_killed_test_goes_on_with_the_same_bits(tmp_path, capsys):
    calls: list[str] = []
    plain = resumable(None).compute({name: part(calls, name) for name in NAMES})

    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resumable(tmp_path).compute({"one": part([], "one"), "three": killed, "seventh": part([], "seventh")})
    calls.clear()
    resumed = resumable(tmp_path).compute({name: part(calls, name) for name in NAMES})
    assert calls == ["three", "seventh"]
    assert list(resumed) == list(NAMES)
    for name in NAMES:
        assert resumed[name].dtype == np.float32
        np.testing.assert_array_equal(resumed[name], plain[name])
    lines = capsys.readouterr().err.splitlines()
    assert "a test: part 1 of 3, one: read from" in lines[-3]
    assert "a test: part 2 of 3, three: computed in 0 s" in lines[-2]


def test_parts_of_other_weights_are_not_read(tmp_path):
    calls: list[str] = []
    for weights in ("a", "b", "a"):
        resumable(tmp_path, weights).compute({"one": part(calls, "one")})
    assert calls == ["one", "one"]


def test_a_part_that_cannot_be_read_is_computed_again(tmp_path, capsys):
    test = resumable(tmp_path)
    expected = test.compute({"one": part([], "one")})["one"]
    (test.folder / "one.npz").write_bytes(b"cut short")
    again = resumable(tmp_path).compute({"one": part([], "one")})["one"]
    np.testing.assert_array_equal(again, expected)
    assert "computed again" in capsys.readouterr().err


def _compute_slowly(folder, started, go_on, computed):
    def slow():
        started.set()
        assert go_on.wait(60)
        return np.float32([[1]])

    def quick():
        computed.put("quick by the other")
        return np.float32([[2]])

    resumable(folder).compute({"slow": slow, "quick": quick})


def test_a_part_that_another_process_computes_is_left_to_it(tmp_path):
    spawn = multiprocessing.get_context("fork")
    started, go_on, computed = spawn.Event(), spawn.Event(), spawn.Queue()
    other = spawn.Process(target=_compute_slowly, args=(tmp_path, started, go_on, computed))
    other.start()
    assert started.wait(60)

    def slow():
        raise AssertionError("the other process computes this part")

    def quick():
        go_on.set()  # this process came past the part that the other one holds
        return np.float32([[2]])

    arrays = resumable(tmp_path).compute({"slow": slow, "quick": quick})
    other.join(60)
    assert other.exitcode == 0
    assert (arrays["slow"], arrays["quick"]) == (1, 2)
    assert computed.empty()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    spawn = multiprocessing.get_context("fork")
    started, go_on, computed = spawn.Event(), spawn.Event(), spawn.Queue()
    other = spawn.Process(target=_compute_slowly, args=(tmp_path, started, go_on, computed))
    other.start()
    assert started.wait(60)
    other.kill()
    other.join(60)
    calls: list[str] = []
    resumable(tmp_path).compute({"slow": part(calls, "slow")})
    assert calls == ["slow"]


def test_weights_and_code_are_told_apart_by_their_bits():
    a = [tf.constant([1.0, 2.0]), tf.constant([[3.0]])]
    assert params_digest(a) == params_digest([tf.identity(p) for p in a])
    assert params_digest(a) != params_digest([a[0], tf.constant([[3.0000002]])])
    assert params_digest(a) != params_digest([a[0], tf.constant([3.0])])
    assert code_digest("meta") != code_digest("meta", "ops")
    assert code_digest("experiments/supervised.py") == code_digest("experiments/supervised.py")
