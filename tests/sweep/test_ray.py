"""Jobs on a Ray cluster of two nodes on this machine, of which one is lost."""

import importlib.util
import time

import pytest
from helpers import closed_port

from maml_tf.errors import UsageError
from maml_tf.sweep.ray import RayLauncher
from maml_tf.sweep.states import State
from maml_tf.sweep.sweep import Sweep, rows_of

INSTALLED = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not INSTALLED, reason="Ray is not installed (maml_tf[ray])")


@pytest.mark.skipif(INSTALLED, reason="Ray is installed")
def test_without_ray_the_error_says_what_to_install():
    with pytest.raises(UsageError, match=r"pip install 'maml_tf\[ray\]'"):
        RayLauncher(1, "auto")


@pytest.mark.parametrize("address", ["nonsense", "local", "ray://host:10001", "host:", ":6379", "host:port", ""])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(UsageError, match=f"--address {address}: expected HOST:PORT"):
        RayLauncher(1, address)


def test_an_address_where_nothing_answers_is_an_error_at_once():
    address = f"127.0.0.1:{closed_port()}"
    with pytest.raises(UsageError, match=f"--address {address}: there is no Ray cluster"):
        RayLauncher(1, address)


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster whose head runs no jobs, and one node with one core."""
    import ray
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    made.add_node(num_cpus=1, **small)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def launcher(cluster):
    import ray

    yield RayLauncher(1, cluster.address)
    ray.shutdown()


@needs_ray
def test_a_sweep_by_ray(training, a_test_of, launcher):
    jobs = [training("twice", "fails once"), training("bad", "fails always")]
    rows = rows_of([*jobs, a_test_of(jobs[0])])
    Sweep(rows, launcher, 1, lambda rows: None).run()
    assert [(row.state, row.tries) for row in rows] == [(State.FINISHED, 2), (State.FAILED, 2), (State.FINISHED, 1)]


@needs_ray
def test_a_stop_saves(training, launcher):
    job = training("one", "waits")
    launcher.submit([job])
    wait_for_state(job)
    launcher.stop(2)
    deadline = time.monotonic() + 60
    while not (ended := launcher.poll()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ended[0].code is None
    assert rows_of([job])[0].reached.iteration == 4


@needs_ray
def test_the_job_of_a_lost_node_goes_on_on_another(training, cluster, launcher):
    job = training("one", "waits")
    (row,) = rows_of([job])
    lost = cluster.worker_nodes.copy().pop()

    def lose(rows):
        if lost in cluster.worker_nodes and (job.run_folder / "state.npz").exists():
            cluster.remove_node(lost, allow_graceful=False)
            cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)

    Sweep([row], launcher, 0, lose).run()
    assert lost not in cluster.worker_nodes
    assert (row.state, row.tries) == (State.FINISHED, 1)
    assert job.log.read_text().count("resumed\n") == 1


@needs_ray
def test_more_cores_than_a_node_has_are_an_error(cluster):
    with pytest.raises(UsageError, match=r"--cores-per-run 64: the largest node of .* has 1 cores"):
        RayLauncher(64, cluster.address)


def wait_for_state(job):
    deadline = time.monotonic() + 60
    while not (job.run_folder / "state.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
