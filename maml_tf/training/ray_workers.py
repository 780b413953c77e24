"""Workers as actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from maml_tf.errors import UsageError
from maml_tf.meta.arguments import whole_number
from maml_tf.training.ray_cluster import check_address, connect, most_cores, ray_module
from maml_tf.training.workers import Calls, Host, WorkerLostError, Workers


class _Actor(NamedTuple):
    handle: Any
    ready: Any  # a reference that is resolved when the actor has its object


class RayWorkers(Workers):
    """Spreads one training over a Ray cluster: `mt.train(..., workers=mt.RayWorkers(8, address="host:6379"))`.

    `ray start --head` on one machine and `ray start --address HOST:PORT` on the others make a cluster. All of them need
    the same Python environment, with `maml_tf[ray]`. A user's own functions and classes are sent along where they are
    defined in the program itself; modules must be importable everywhere.

    Args:
        num_workers: how many actors.
        address: "HOST:PORT" of the cluster. None: the cluster that this machine belongs to, or a new one on this
            machine where there is none.
        cores_per_worker: of each actor; as many of its groups are computed at a time.

    Raises:
        UsageError: a number or the address is not allowed, Ray is not installed, or nothing answers there.
    """

    def __init__(self, num_workers: int, address: str | None = None, cores_per_worker: int = 1):
        super().__init__(num_workers)
        self.cores_per_worker = whole_number("cores_per_worker", cores_per_worker)
        if address is not None:
            check_address(address, "address")
        self.address = address
        self._ray = ray_module("workers")
        self._connected = False

    def open(self, sent: bytes) -> None:
        """See `Workers.open`; connects to the cluster.

        Raises:
            UsageError: there is no cluster, or no machine of it has the cores of a worker.
        """
        self._connected = connect(self._ray, self.address, "address")
        cores = most_cores(self._ray)
        if self.cores_per_worker > cores:
            self.close()
            raise UsageError(f"cores_per_worker: {self.cores_per_worker}: the largest machine has {cores:g} cores")
        options = {"num_cpus": self.cores_per_worker, "max_restarts": 0}
        self._actor_class = self._ray.remote(**options)(Host)
        self._sent_reference = self._ray.put(sent)
        super().open(sent)

    def close(self) -> None:
        """See `Workers.close`."""
        super().close()
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    def _start(self, sent: bytes) -> _Actor:
        handle = self._actor_class.remote(self._sent_reference, self.cores_per_worker)
        return _Actor(handle, handle.ready.remote())

    def _some_ready(self, workers: Sequence[_Actor], seconds: float) -> list[_Actor]:
        if not workers:
            return []
        done, _ = self._ray.wait([worker.ready for worker in workers], num_returns=1, timeout=seconds)
        return [worker for worker in workers if worker.ready in done]

    def _check(self, worker: _Actor) -> None:
        self._get(worker.ready)

    def _call(self, worker: _Actor, method: str, calls: Calls, shared: Sequence[Any]) -> Any:
        return worker.handle.call.remote(method, calls, *shared)

    def _result(self, pending: Any) -> list:
        return self._get(pending)

    def _get(self, reference: Any) -> Any:
        lost = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except lost.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except (lost.RayActorError, lost.ObjectLostError, lost.NodeDiedError) as error:
            raise WorkerLostError(f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]) from None

    def _end(self, worker: _Actor) -> None:
        self._ray.kill(worker.handle)

    def _shared(self, shared: Sequence[Any]) -> Sequence[Any]:
        return [self._ray.put(one) for one in shared]
