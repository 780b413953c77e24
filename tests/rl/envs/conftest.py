"""Settings of the tests of environments."""

import pytest


@pytest.fixture(autouse=True)
def _mujocos_warnings_go_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes MUJOCO_LOG.TXT into the working directory
