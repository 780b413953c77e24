"""Collects the requests of several users for a few milliseconds and runs them as one."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from typing import Any


class Batcher:
    """Requests with the same key are run together.

    A batch starts when its first request has waited long enough, or when it is full. If it fails, each of its requests
    is run by itself, so that only those that fail alone get an error.

    Args:
        run: (key, requests) -> their results, in the same order. It is called in a thread of `executor`.
        executor: its threads.
        most: the largest number of requests in a batch; 1 turns batching off.
        wait: seconds that the first request waits for others.
    """

    def __init__(
        self, run: Callable[[Hashable, Sequence[Any]], Sequence[Any]], executor: Executor, most: int, wait: float
    ):
        self.run, self.executor, self.most, self.wait = run, executor, most, wait
        self.waiting: dict[Hashable, list[tuple[Any, asyncio.Future]]] = {}
        self.timers: dict[Hashable, asyncio.TimerHandle] = {}
        self.running: set[asyncio.Task] = set()

    async def __call__(self, key: Hashable, request: Any) -> Any:
        """The result of a request."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future = loop.create_future()
        batch = self.waiting.setdefault(key, [])
        batch.append((request, result))
        if len(batch) >= self.most:
            self._start(key)
        elif len(batch) == 1:
            self.timers[key] = loop.call_later(self.wait, self._start, key)
        return await result

    def _start(self, key: Hashable) -> None:
        if timer := self.timers.pop(key, None):
            timer.cancel()
        task = asyncio.get_running_loop().create_task(self._finish(key, self.waiting.pop(key)))
        self.running.add(task)  # or it could be collected as garbage
        task.add_done_callback(self.running.discard)

    async def _finish(self, key: Hashable, batch: list[tuple[Any, asyncio.Future]]) -> None:
        batch = [(request, result) for request, result in batch if not result.done()]  # its user may have gone
        if not batch:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self.executor, self.run, key, [request for request, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    await self._finish(key, [one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
        else:
            for (_, result), value in zip(batch, found, strict=True):
                if not result.done():
                    result.set_result(value)
