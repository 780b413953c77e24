"""Progress of anything that takes longer than a few seconds: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time

SECONDS_BETWEEN_LINES = 15


class Progress:
    """Shows how far a loop has come, its rate, the remaining time and the latest values. A context manager.

    Args:
        label: names the loop.
        total: iterations in all.
        done: iterations that were done before, by an earlier process.
    """

    def __init__(self, label: str, total: int, done: int = 0):
        self.label = label
        self.total = total
        self.begun = self.first = self.done = done
        self.bar = None
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                pass
            else:
                self.bar = tqdm(total=total, initial=done, desc=label, unit="it", dynamic_ncols=True)

    def __enter__(self) -> Progress:
        self.entered = self.started = self.last_line = time.monotonic()
        return self

    def update(self, done: int, **values: float) -> None:
        """Reports that `done` iterations are done, with the latest `values` by name."""
        if self.bar is not None:
            self.bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()}, refresh=False)
            self.bar.update(done - self.done)
        self.done = done
        now = time.monotonic()
        if self.bar is None and now - self.last_line >= SECONDS_BETWEEN_LINES and done > self.first:
            self.last_line = now
            rate = (done - self.first) / (now - self.started)
            remaining = (self.total - done) / rate if rate else float("inf")
            shown = "".join(f", {name} {value:.4g}" for name, value in values.items())
            self.line(f"{done}/{self.total} ({rate:.3g} it/s, {clock(remaining)} remaining){shown}")

    def measure_from_here(self, done: int) -> None:
        """Starts the clock of the rate again: what was done up to now included a compilation."""
        self.first = done
        self.started = time.monotonic()

    def line(self, text: str) -> None:
        """Prints one line, above the bar where there is one."""
        if self.bar is not None:
            self.bar.write(f"{self.label}: {text}", file=sys.stderr)
        else:
            announce(f"{self.label}: {text}")

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.done == self.total and self.total > self.begun:
            self.line(f"{self.total} iterations done in {clock(time.monotonic() - self.entered)}")


def announce(text: str) -> None:
    """Prints one line about what begins now."""
    print(text, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """A duration as "1:02:03" or "2:03"."""
    if seconds == float("inf"):
        return "unknown time"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
