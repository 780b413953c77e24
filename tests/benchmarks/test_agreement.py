"""The check of another implementation's result against ours, and where rounding decides in float64."""

import numpy as np
import pytest

from benchmarks.agreement import check_agreement
from benchmarks.processes import ImplementationFailedError


def test_where_float32_differs_the_results_in_float64_must_agree():
    ours, near, far = ([np.array([1.0, off])] for off in (0.01, 0.0101, -0.025))
    exact = [np.array([1.0, 0.0])]
    same, other, wrong = ([np.array([1.0, off])] for off in (1e-9, 1e-7, np.nan))
    assert check_agreement(near, ours, None, None) == {"difference": pytest.approx(1e-4, rel=1e-3)}
    assert check_agreement(far, ours, lambda: same, lambda: exact) == {
        "difference": pytest.approx(0.035, rel=1e-3),
        "in_float64": pytest.approx(1e-9),
        "off": pytest.approx(0.025),
        "ours_off": pytest.approx(0.01),
    }
    for found in (other, wrong):
        with pytest.raises(ImplementationFailedError, match=r"differs from ours by 0\.035, .* in float64 by"):
            check_agreement(far, ours, lambda found=found: found, lambda: exact)
