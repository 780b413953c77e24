"""The shared references are right themselves."""

import numpy as np
import pytest
from helpers import SPECS, changed_copy, finite_differences, largest_difference, run_python, smoke_spec


def test_finite_differences_of_a_known_function():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=3)
    by_a, by_b = finite_differences(lambda p: np.sin(p[0]) @ p[1], [a, b])
    assert by_a.shape == (2, 3, 2)
    for row in range(2):
        np.testing.assert_allclose(by_a[row, :, row], np.cos(a[row]) * b, rtol=1e-8)
        np.testing.assert_array_equal(by_a[row, :, 1 - row], 0)
    np.testing.assert_allclose(by_b, np.sin(a).T, rtol=1e-8)
    (gradient,) = finite_differences(lambda p: float(np.square(p[0]).sum()), [b])
    np.testing.assert_allclose(gradient, 2 * b, rtol=1e-8)


def test_the_largest_difference_is_relative_to_the_largest_number():
    assert largest_difference([np.array([1.0, 0.0]), np.array(3.0)], [np.array([1.0, 0.2]), np.array(4.0)]) == 0.25
    with pytest.raises(ValueError, match="longer"):
        largest_difference([np.ones(2)], [np.ones(2), np.ones(2)])


def test_a_copy_is_changed_in_one_place(tmp_path):
    path = SPECS / "sinusoid_maml.yaml"
    copy = changed_copy(path, tmp_path / "folder", "batch_size: 25", "batch_size: 26", "other.yaml")
    before, after = path.read_text().splitlines(), copy.read_text().splitlines()
    assert copy == tmp_path / "folder" / "other.yaml"
    (line,) = (new for old, new in zip(before, after, strict=True) if old != new)
    assert line.startswith("  batch_size: 26 ")
    with pytest.raises(AssertionError, match="does not contain 'absent'"):
        changed_copy(path, tmp_path, "absent", "")


def test_python_runs_in_the_repository():
    done = run_python("-c", "import maml_tf, sys; print('out'); print('error', file=sys.stderr); sys.exit(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "error\n")


def test_a_smoke_spec_is_the_spec_at_its_smallest():
    assert smoke_spec("sinusoid_maml").profile == "smoke"
