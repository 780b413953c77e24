"""The connection to a Ray cluster, with a stand-in for Ray."""

import signal
import socket

import pytest
from helpers import closed_port

from maml_tf.errors import UsageError
from maml_tf.training.ray_cluster import connect


class FakeRay:
    """Puts its handler of SIGTERM in place, as Ray does."""

    def __init__(self, connected=False, error=None):
        self.connected, self.error, self.address = connected, error, ""

    def is_initialized(self):
        return self.connected

    def init(self, address, **options):
        if self.error:
            raise self.error
        self.address, self.connected = address, True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """recorded(port): Ray's record of this machine's cluster names that port."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def record(port):
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")

    return record


def test_a_cluster_that_has_ended_is_named_at_once(recorded):
    port = closed_port()
    recorded(port)
    with pytest.raises(
        UsageError, match=rf"--address auto: the last Ray cluster of this machine, 127\.0\.0\.1:{port}, has "
    ):
        connect(FakeRay(), "auto", "--address")
    ray = FakeRay()
    assert connect(ray, None, "address")
    assert ray.address == "local"  # a new one


@pytest.mark.parametrize("address", [None, "auto", "head:6379"])
def test_a_cluster_that_answers_is_left_to_ray(recorded, address):
    with socket.create_server(("127.0.0.1", 0)) as server:
        recorded(server.getsockname()[1] if address != "head:6379" else closed_port())
        ray = FakeRay()
        assert connect(ray, address, "address")
    assert ray.address == address


def test_the_handler_of_signals_stays_the_program_s():
    before, ray = signal.getsignal(signal.SIGTERM), FakeRay()
    assert connect(ray, "head:6379", "address")
    assert ray.address == "head:6379"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_program_that_is_connected_stays_so():
    ray = FakeRay(connected=True)
    assert not connect(ray, "head:6379", "address")
    assert ray.address == ""


@pytest.mark.parametrize("error", [ConnectionError("no\nanswer"), ValueError("no"), RuntimeError("no")])
def test_no_cluster_is_an_error_that_names_the_argument(error):
    with pytest.raises(UsageError, match=r"--address head:1: there is no Ray cluster .*\(no\).*RAY_AUTH_MODE=token"):
        connect(FakeRay(error=error), "head:1", "--address")
