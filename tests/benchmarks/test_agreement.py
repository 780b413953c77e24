"""The check of another implementation's result against ours and against float64."""

import numpy as np
import pytest

from benchmarks.agreement import check_agreement
from benchmarks.processes import ImplementationFailedError


def test_an_implementation_may_be_twice_as_far_from_float64_as_ours():
    exact = [np.array([1.0, 0.0])]
    ours, near, far = ([np.array([1.0, off])] for off in (0.01, -0.015, -0.025))
    assert check_agreement([np.array([1.0, 0.0101])], ours, None) == {"difference": pytest.approx(1e-4, rel=1e-3)}
    distances = check_agreement(near, ours, lambda: exact)
    assert distances == {
        "difference": pytest.approx(0.025, rel=1e-3),
        "off": pytest.approx(0.015),
        "ours_off": pytest.approx(0.01),
    }
    for found in (far, [np.array([np.nan, 0.0])]):
        with pytest.raises(ImplementationFailedError, match=r"from float64 by .*, where ours does by 0\.01"):
            check_agreement(found, ours, lambda: exact)
