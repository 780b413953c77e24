"""The table of environments: complete, cheap to read, open to an environment of one's own."""

import gymnasium
import numpy as np
import pytest
from helpers import run_python

from maml_tf.errors import UsageError
from maml_tf.rl.envs import registry
from maml_tf.rl.envs.goals import UniformGoals
from maml_tf.rl.envs.vector_env import Outcome, TaskVectorEnv


@pytest.fixture
def forget():
    """What a test registers is forgotten afterwards."""
    tables = registry.ENVIRONMENTS, gymnasium.envs.registration.registry
    before = [dict(table) for table in tables]
    yield
    for table, rows in zip(tables, before, strict=True):
        table.clear()
        table.update(rows)


class Still(TaskVectorEnv):
    """Observes zeros; the reward is the goal."""

    def __init__(self, num_envs, max_episode_steps=5, reveal_task=False):
        super().__init__(num_envs, 1, 1, UniformGoals(0.0, 1.0), max_episode_steps, reveal_task)

    def _start(self, ids):
        return np.zeros((len(ids), 1))

    def _advance(self, ids, actions):
        ended = np.zeros(len(ids), bool)
        return Outcome(np.zeros((len(ids), 1)), self.goals[ids], ended, ended)


def test_the_papers_five_environments_are_registered():
    expected = {"point_navigation", "half_cheetah_velocity", "half_cheetah_direction", "ant_velocity", "ant_direction"}
    assert expected <= registry.ENVIRONMENTS.keys()
    for entry in registry.ENVIRONMENTS.values():
        assert entry.vector_class(1).max_episode_steps == entry.horizon
        assert gymnasium.spec(entry.gymnasium_id).max_episode_steps == entry.horizon
        assert entry.vector_class.goal_distribution.test_goals().shape[0] == 40


def test_the_names_are_read_without_mujoco_and_tensorflow():
    code = (
        "import sys; from maml_tf.rl.envs.registry import ENVIRONMENTS; assert 'ant_velocity' in ENVIRONMENTS; "
        "print(sorted({'mujoco', 'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_an_environment_registers_itself_for_specs_and_for_gymnasium(forget):
    names = {"horizon": 5, "gymnasium_id": "maml_tf_tests/Still-v0", "title": "standing still"}
    assert registry.register("still", **names)(Still) is Still
    assert registry.environment("still").vector_class is Still
    single = gymnasium.make("maml_tf_tests/Still-v0")
    vector = gymnasium.make_vec("maml_tf_tests/Still-v0", num_envs=2, vectorization_mode="vector_entry_point")
    single.reset(options={"goal": 0.25})
    vector.reset(options={"goal": [0.25, 0.5]})
    assert single.step(np.zeros(1, np.float32))[1] == 0.25
    np.testing.assert_array_equal(vector.step(np.zeros((2, 1)))[1], [0.25, 0.5])


@pytest.mark.parametrize(
    ("name", "id_"), [("point_navigation", "maml_tf_tests/Still-v0"), ("still", "maml_tf/PointNavigation-v0")]
)
def test_a_name_or_id_that_is_taken_is_an_error_that_names_its_owner(forget, name, id_):
    with pytest.raises(UsageError, match=r"Still: the name .* belongs to maml_tf\.rl\.envs\.point:PointNavigation"):
        registry.register(name, horizon=5, gymnasium_id=id_, title="standing still")(Still)
    assert registry.environment("point_navigation").vector_class is not Still


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'submarine' is not known; allowed: ant_velocity, .*point_navigation"):
        registry.environment("submarine")
