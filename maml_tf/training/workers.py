"""Workers that compute the parts of one training: what all kinds of workers share, and workers in this process.

The parts are numbered groups of tasks. A group is computed in the same way by any worker, and what the groups give is
put together in their order. So the result does not depend on the number of workers.
"""

from __future__ import annotations

import abc
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from maml_tf.errors import UsageError
from maml_tf.training.progress import announce

SECONDS_FOR_ALL = 60  # the first iteration waits this long for workers that are not ready
SECONDS_FOR_ONE = 300  # with no worker at all a training waits this long
LOSSES = 10  # workers that may be lost in one iteration

T = TypeVar("T")
Calls = Sequence[tuple[int, tuple]]  # (number of a group, arguments)


class WorkerLostError(Exception):
    """A worker ended, or its machine."""


class Host:
    """What runs in a worker: it holds one object and calls its methods.

    Args:
        sent: the object, by `maml_tf.training.sending.to_bytes`.
        cores: threads that compute, one group each.
        configure: whether the process is the worker's own, so that TensorFlow may be set up for these cores.
    """

    def __init__(self, sent: bytes, cores: int = 1, configure: bool = True):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if configure:
            from maml_tf.runtime import configure_runtime

            configure_runtime(cores)
        from maml_tf.training.sending import from_bytes

        self._object = from_bytes(sent)
        # Threads that stay: oneDNN keeps what it has prepared for a convolution in the thread that prepared it.
        self._threads = ThreadPoolExecutor(cores) if cores > 1 else None

    def ready(self) -> bool:
        """True, as soon as the object is there."""
        return True

    def call(self, method: str, calls: Calls, *shared: Any) -> list:
        """`method(group, *arguments, *shared)` of every (group, arguments), in order."""
        function = getattr(self._object, method)
        apply = map if self._threads is None else self._threads.map
        return list(apply(lambda call: function(call[0], *call[1], *shared), calls))


class Workers(abc.ABC):
    """Some number of workers, each of which holds a copy of one object.

    A worker that is lost is replaced, and the iteration is repeated. Until the new worker is ready, the others do its
    part.

    Args:
        num_workers: how many.

    Raises:
        UsageError: the number is not allowed.
    """

    def __init__(self, num_workers: int):
        from maml_tf.meta.arguments import whole_number  # a worker's process sets TensorFlow up before it imports it

        self.num_workers = whole_number("num_workers", num_workers)
        self._sent = b""
        self._members: list[Any] = []
        self._starting: list[Any] = []
        self._waited = False

    def open(self, sent: bytes) -> None:
        """Starts the workers; returns at once.

        Args:
            sent: the object that each of them holds, by `maml_tf.training.sending.to_bytes`.
        """
        self._sent, self._members, self._waited = sent, [], False
        self._starting = [self._start(sent) for _ in range(self.num_workers)]

    def close(self) -> None:
        """Ends the workers."""
        for worker in (*self._members, *self._starting):
            self._end(worker)
        self._members, self._starting = [], []

    def repeated(self, work: Callable[[], T]) -> T:
        """The result of `work()`, which calls `map`. It is repeated as long as a worker is lost in it.

        Raises:
            RuntimeError: no worker becomes ready, or workers are lost again and again.
        """
        told = ""
        for _ in range(LOSSES):
            try:
                self._admit()
                return work()
            except WorkerLostError as error:
                told = str(error)
                announce(f"a worker was lost and is replaced; its iteration is repeated ({told})")
        raise RuntimeError(f"workers: {LOSSES} were lost in one iteration, the last one with: {told}")

    def map(self, method: str, arguments: Sequence[tuple], shared: Sequence[Any] = ()) -> list:
        """Calls a method of the workers' object for every group. Call it inside of `repeated`.

        Within one call of `repeated`, a group is always computed by the same worker.

        Args:
            method: (group, *arguments, *shared) -> a result.
            arguments: of every group.
            shared: arguments that all groups have.

        Returns:
            The results, in the order of the groups.

        Raises:
            WorkerLostError: a worker was lost; it is being replaced.
        """
        members, groups = list(self._members), len(arguments)
        shared = self._shared(shared)
        pending = []
        for index, worker in enumerate(members):
            first, last = index * groups // len(members), (index + 1) * groups // len(members)
            calls = [(group, arguments[group]) for group in range(first, last)]
            pending.append(self._call(worker, method, calls, shared) if calls else None)
        results, lost = [], None
        for worker, one in zip(members, pending, strict=True):
            try:
                results += [] if one is None else self._result(one)
            except WorkerLostError as error:
                lost = error
                self._members.remove(worker)
                self._end(worker)
                self._starting.append(self._start(self._sent))
        if lost is not None:
            raise lost
        return results

    def _admit(self) -> None:
        """Takes in the workers that have become ready; waits for them where it must."""
        started = time.monotonic()
        while True:
            wanted = self._starting and not (self._members and self._waited)
            for worker in self._some_ready(self._starting, 1.0 if wanted else 0.0):
                self._starting.remove(worker)
                try:
                    self._check(worker)
                except WorkerLostError:
                    self._starting.append(self._start(self._sent))
                    raise
                self._members.append(worker)
            waited = time.monotonic() - started
            if self._members and (self._waited or not self._starting or waited > SECONDS_FOR_ALL):
                break
            if waited > SECONDS_FOR_ONE:
                raise RuntimeError(
                    f"workers: none of {self.num_workers} was ready after {SECONDS_FOR_ONE} s; are there free cores?"
                )
        if self._starting and not self._waited:
            announce(
                f"{len(self._members)} of {self.num_workers} workers are ready; the others join in when there are free "
                "cores for them"
            )
        self._waited = True

    @abc.abstractmethod
    def _start(self, sent: bytes) -> Any:
        """A new worker; returns at once."""

    @abc.abstractmethod
    def _some_ready(self, workers: Sequence[Any], seconds: float) -> list[Any]:
        """Those of `workers` that are ready, or lost; waits `seconds` for a first one."""

    @abc.abstractmethod
    def _check(self, worker: Any) -> None:
        """Raises a WorkerLostError if a worker that `_some_ready` gave was lost."""

    @abc.abstractmethod
    def _call(self, worker: Any, method: str, calls: Calls, shared: Sequence[Any]) -> Any:
        """Begins `Host.call`; returns at once what `_result` takes."""

    @abc.abstractmethod
    def _result(self, pending: Any) -> list:
        """Waits for a call. Raises a WorkerLostError if its worker was lost."""

    @abc.abstractmethod
    def _end(self, worker: Any) -> None:
        """Ends a worker, which may be lost already."""

    def _shared(self, shared: Sequence[Any]) -> Sequence[Any]:
        """Arguments for all workers, put where each of them finds them."""
        return shared


def check_workers(workers: Any) -> None:
    """Refuses an argument `workers` that is neither None nor some workers.

    Raises:
        UsageError: as above.
    """
    if workers is not None and not isinstance(workers, Workers):
        raise UsageError(f"workers: {workers!r} is not allowed; expected such as mt.RayWorkers(8)")


class LocalWorkers(Workers):
    """Workers in this process, one after the other: the numbers of a training over machines, without machines."""

    def _start(self, sent: bytes) -> Host:
        return Host(sent, configure=False)

    def _some_ready(self, workers: Sequence[Host], seconds: float) -> list[Host]:
        return list(workers)

    def _check(self, worker: Host) -> None:
        pass

    def _call(self, worker: Host, method: str, calls: Calls, shared: Sequence[Any]) -> tuple:
        return worker, method, calls, shared

    def _result(self, pending: tuple) -> list:
        worker, method, calls, shared = pending
        return worker.call(method, calls, *shared)

    def _end(self, worker: Host) -> None:
        pass
