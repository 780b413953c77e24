"""The films of adapted policies: in real time, side by side; what is missing is named. Nothing is rendered."""

import dataclasses
import importlib
import os
import sys
import types

import gymnasium
import numpy as np
import pytest
from PIL import Image

from maml_tf.errors import UsageError
from reproduce import paths


@pytest.fixture
def videos(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", os.environ.get("MUJOCO_GL", ""))  # the script's own choice is not for these tests
    yield importlib.import_module("reproduce.studies.videos")
    sys.modules.pop("reproduce.studies.videos")


class Flat(gymnasium.Env):
    """Ends after 10 steps; each frame shows how many there were; the reward is the goal."""

    def __init__(self, steps_per_second):
        self.metadata = {"render_fps": steps_per_second}

    def reset(self, *, seed=None, options=None):
        self.goal, self.elapsed = options["goal"], 0
        return np.zeros(3), {}

    def step(self, action):
        self.elapsed += 1
        return np.zeros(3), self.goal, self.elapsed == 10, False, {}

    def render(self):
        return np.full((150, 200, 3), self.elapsed, np.uint8)


@pytest.mark.parametrize(
    ("steps_per_second", "shown", "milliseconds"), [(100, [0, 5, 10], 50), (50, [0, 3, 6, 9], 60), (20, range(11), 50)]
)
def test_a_film_runs_in_real_time(videos, monkeypatch, steps_per_second, shown, milliseconds):
    monkeypatch.setattr(gymnasium, "make", lambda *_, **__: Flat(steps_per_second))
    actor = types.SimpleNamespace(act=lambda observations, rng: np.zeros((1, 1, 2)))
    frames, duration, total = videos.film("ant_velocity", 2.0, actor)
    assert [frame[0, 0, 0] for frame in frames] == list(shown)
    assert duration == milliseconds
    assert total == 20.0


def test_films_stand_side_by_side_and_one_that_ends_early_stands_still(videos, tmp_path):
    short, long = (
        [np.full((videos.HEIGHT, videos.WIDTH, 3), value, np.uint8) for value in values]
        for values in ([90, 180], [60, 120, 240])
    )
    videos.write_gif({"before": short, "after": long}, 60, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.size == (2 * videos.WIDTH, videos.HEIGHT)
        assert film.n_frames == 3
        shown = []
        for index in range(3):
            film.seek(index)
            assert film.info["duration"] == 60
            picture = film.convert("RGB")
            shown.append([picture.getpixel((x + 100, 100))[0] for x in (0, videos.WIDTH)])
    assert shown == [[90, 60], [180, 120], [180, 240]]


def test_missing_weights_are_named_with_the_target_that_trains_them(videos, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "YOURS", paths.own_store(tmp_path))
    monkeypatch.setattr(paths, "PUBLISHED", dataclasses.replace(paths.PUBLISHED, checkpoints=tmp_path))
    with pytest.raises(UsageError, match=r"half_cheetah_velocity_maml/seed_1\.npz is missing: `make fig5-cheetah-vel"):
        videos.policies("half_cheetah_velocity")


def test_your_weights_come_before_the_published_ones(videos, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "YOURS", paths.own_store(tmp_path))
    name = "half_cheetah_velocity"
    published = paths.PUBLISHED.checkpoints / f"{name}_maml" / "seed_1.npz"
    assert videos.weights_of(name) == published
    own = paths.YOURS.checkpoints / f"{name}_maml" / "seed_1.npz"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"")
    assert videos.weights_of(name) == own
