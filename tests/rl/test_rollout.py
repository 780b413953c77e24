"""One rollout of a policy, and what cannot be drawn."""

import numpy as np
import pytest
from PIL import Image

import maml_tf as mt
from maml_tf.errors import UsageError
from maml_tf.rl import rollout
from maml_tf.rl.rollout import Rollout, roll_out


@pytest.fixture(scope="module")
def learner():
    return mt.load("point-navigation")


def test_a_shipped_policy_runs_in_its_environment(learner):
    far, near = (roll_out(learner.actor(), "point_navigation", np.array(goal)) for goal in ([0.5, 0.5], [0.0, 0.0]))
    assert far.frames == []
    assert far.total_reward < near.total_reward < 0
    again = roll_out(learner.actor(), "point_navigation", np.array([0.5, 0.5]))
    assert again.total_reward == far.total_reward


def test_what_cannot_be_run_or_drawn_is_named(learner, monkeypatch):
    actor = learner.actor()
    with pytest.raises(UsageError, match="environment 'chess' is not known"):
        roll_out(actor, "chess", 1.0)
    with pytest.raises(UsageError, match="'point_navigation' cannot be drawn: it is not simulated by MuJoCo"):
        roll_out(actor, "point_navigation", np.zeros(2), render=True)
    two = learner.policy.actor([np.stack([p, p]) for p in learner.initial_params()])
    with pytest.raises(UsageError, match=r"actor: it has 2 tasks; pass one of them: actor.tasks\(0, 1\)"):
        roll_out(two, "point_navigation", np.zeros(2))
    cheetah = mt.load("half-cheetah-direction").actor()
    monkeypatch.setenv("MUJOCO_GL", "no_such_renderer")
    with pytest.raises(UsageError, match=r"the renderer failed with exit code \d+ \(MUJOCO_GL=no_such_renderer\)"):
        roll_out(cheetah, "half_cheetah_direction", 1.0, render=True)


def test_pictures_come_from_another_process(learner, monkeypatch):
    """The process that draws is replaced by one that answers as it does."""
    answer = "import pickle, sys; sys.stdout.buffer.write(pickle.dumps(([], 50, -1.5)))"
    run = rollout.subprocess.run
    monkeypatch.setattr(
        rollout.subprocess, "run", lambda command, **options: run([command[0], "-c", answer], **options)
    )
    found = roll_out(mt.load("half-cheetah-direction").actor(), "half_cheetah_direction", 1.0, render=True)
    assert found == Rollout([], 50, -1.5)


def test_pictures_become_a_gif(tmp_path):
    frames = [np.full((8, 6, 3), value, np.uint8) for value in (0, 120, 250)]
    Rollout(frames, 50, 0.0).save_gif(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.size, film.n_frames, film.info["duration"]) == ((6, 8), 3, 50)
    with pytest.raises(UsageError, match="no pictures: pass render=True"):
        Rollout([], 50, 0.0).save_gif(tmp_path / "film.gif")
