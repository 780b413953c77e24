"""The connection to a Ray cluster, with a stand-in for Ray."""

import signal

import pytest

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
