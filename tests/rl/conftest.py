"""Random samples for the tests of what learns from samples."""

import pytest
from reference import policy_problem


@pytest.fixture(scope="session")
def random_trajectories():
    return policy_problem.random_trajectories
