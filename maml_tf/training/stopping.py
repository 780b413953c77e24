"""Ctrl-C and SIGTERM: a training ends between two iterations, with its state saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStoppedError(KeyboardInterrupt):
    """A training was stopped by a signal. The message says what is saved and how to go on.

    It is a KeyboardInterrupt, so `except Exception` does not catch it.

    Args:
        message: for the user.
        number: the signal's.
    """

    def __init__(self, message: str, number: int = signal.SIGINT):
        super().__init__(message)
        self.number = number


class StopRequest:
    """Notes SIGINT and SIGTERM instead of dying. A second signal stops at once. A context manager.

    Signals reach the main thread only, so in another thread nothing is changed.

    Attributes:
        number: the number of the signal that came, or None.
    """

    def __init__(self):
        self.number: int | None = None
        self._at_once = False
        self._before = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """While the block runs, a signal raises. For work that can be repeated, such as a compilation."""
        if self.number is not None:
            raise TrainingStoppedError("", self.number)
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.number is not None
        self.number = number
        if again or self._at_once:
            raise TrainingStoppedError("", number)


def raise_for_signals() -> None:
    """SIGTERM raises a TrainingStoppedError from now on, as Ctrl-C raises a KeyboardInterrupt."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TrainingStoppedError("", number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
