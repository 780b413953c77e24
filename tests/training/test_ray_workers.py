"""Workers on a Ray cluster. `make ray-cluster` runs whole trainings on two nodes, one of which is lost."""

import importlib.util

import keras
import numpy as np
import pytest
from helpers import closed_port

from maml_tf.errors import UsageError
from maml_tf.meta.losses import mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.models.mlp import MLP
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.ray_workers import RayWorkers
from maml_tf.training.train import train
from maml_tf.training.workers import LocalWorkers

INSTALLED = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(INSTALLED, reason="Ray is installed")
def test_without_ray_the_error_says_what_to_install():
    with pytest.raises(UsageError, match=r"workers: Ray is not installed: pip install 'maml_tf\[ray\]'"):
        RayWorkers(2)


@pytest.mark.parametrize("address", ["nonsense", "ray://host:10001", "host:", ":6379", ""])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(UsageError, match=f"address {address}: expected HOST:PORT"):
        RayWorkers(2, address)


def test_an_address_where_nothing_answers_is_an_error_at_once():
    with pytest.raises(UsageError, match="there is no Ray cluster that can be used"):
        RayWorkers(2, f"127.0.0.1:{closed_port()}")


@pytest.mark.parametrize("cores", [0, -1, 1.5, True])
def test_the_number_of_cores_is_a_whole_number(cores):
    with pytest.raises(UsageError, match=r"cores_per_worker: .* is not allowed"):
        RayWorkers(2, None, cores)


@pytest.mark.skipif(not INSTALLED, reason="Ray is not installed (maml_tf[ray])")
def test_actors_give_the_bits_of_workers_in_this_process_and_one_may_be_killed(capfd):
    import ray

    def learner():
        keras.utils.set_random_seed(1)
        return MAML(MLP(1, (4,), 1), lambda y, p: mean_squared_error(y, p), 0.1, 1, vectorized=False)

    def trained(workers, **options):
        return train(learner(), SinusoidTasks(2, 2), iterations=4, batch_size=2, workers=workers, **options)

    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20)
    try:
        workers = RayWorkers(2)

        def kills_one(params):
            ray.kill(workers._members[0].handle)
            return 0.0

        two = trained(workers, validate=kills_one, validate_every=2)
    finally:
        ray.shutdown()
    assert "a worker was lost and is replaced" in capfd.readouterr().err
    for a, b in zip(trained(LocalWorkers(1)).state.params, two.state.params, strict=True):
        np.testing.assert_array_equal(a, b)
