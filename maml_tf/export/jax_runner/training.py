"""Training one seed of a package, in as many calls of the loop as the time allows."""

import json
import pathlib
import time

import numpy as np

from .loop import Loop
from .package import Package, PackageError, read_arrays, write_arrays
from .progress import clock, say

SECONDS_PER_CALL = 10.0  # iterations are grouped into calls of about this length, each with a line and a saved state
RESERVE = 2.0  # seconds of --seconds that are kept for saving, and for a call that takes longer than those before


class Training:
    """One seed: its state, on the device while it runs, and its folder.

    Attributes:
        arrays: the state's arrays in the module's order; numpy's, or the device's.
        losses: [[iteration, mean meta-loss since the row before], ...].
        seconds: time spent in the training loop, without compilation.
        places: the machines that it ran on, in order.
    """

    def __init__(self, package: Package, seed: int, out: pathlib.Path):
        self.package, self.seed = package, seed
        self.folder = pathlib.Path(out) / package.manifest["spec"] / f"seed_{seed}"
        self.state_file = self.folder / "state.npz"
        self.identity = package.initial_states[seed]["training"]
        self.losses, self.seconds, self.places = [], 0.0, []
        state = package.read_initial_state(seed)
        self.task_seed = state["task_seed"]
        if self.state_file.exists():
            state = read_arrays(self.state_file)
            if str(state.get("identity")) != self.identity:
                raise PackageError(
                    f"{self.state_file} was trained from another package; name another --out folder, or remove it", 2
                )
            self.losses, self.seconds = state["losses"].tolist(), float(state["seconds"])
            self.places = json.loads(str(state["places"]))
        try:
            self.arrays = [state[name] for name in package.state]
        except KeyError as error:
            raise PackageError(f"seed {seed}: the state has no array {error}") from None

    @property
    def iteration(self) -> int:
        """The number of iterations done."""
        return int(self.arrays[0])

    def write(self) -> None:
        """Writes the snapshot where one is due, then replaces the saved state as a whole."""
        arrays = {name: np.asarray(array) for name, array in zip(self.package.state, self.arrays, strict=True)}
        iteration, package = self.iteration, self.package
        if iteration % package.snapshot_every == 0 or iteration == package.iterations:
            weights = {name[len("params/") :]: values for name, values in arrays.items() if name.startswith("params/")}
            write_arrays(self.folder / f"snapshot_{iteration:07d}.npz", weights)
        write_arrays(
            self.state_file,
            arrays
            | {
                "identity": np.array(self.identity),
                "spec": np.array(package.manifest["spec"]),
                "spec_hash": np.array(package.manifest["spec_hash"]),
                "profile": np.array(package.manifest["profile"]),
                "git_commit": np.array(package.manifest["git_commit"]),
                "losses": np.reshape(np.array(self.losses, np.float64), (-1, 2)),
                "seconds": np.float64(self.seconds),
                "places": np.array(json.dumps(self.places)),
            },
        )


def train(training: Training, loop: Loop, until: int, deadline: float) -> bool:
    """Trains one seed until iteration `until`; returns whether it got there before the deadline."""
    package = training.package
    label, first, began = f"{package.name}, seed {training.seed}", training.iteration, time.monotonic()
    if training.iteration >= until:
        say(f"{label}: has reached iteration {training.iteration}")
        return True
    if training.iteration:
        say(f"{label}: continues at iteration {training.iteration}")
    if loop.place not in training.places:
        training.places.append(loop.place)
    training.arrays, task_seed = loop.put(training.arrays), loop.put([training.task_seed])[0]
    per_iteration = None
    while training.iteration < until:
        before = training.iteration
        number = min(until, (before // package.snapshot_every + 1) * package.snapshot_every) - before
        if per_iteration is None:
            number = 1
        else:
            left = deadline - time.monotonic() - RESERVE
            if left < 2 * per_iteration:
                return False
            number = max(1, min(number, int(min(SECONDS_PER_CALL, left / 2) / per_iteration)))
        started = time.monotonic()
        arrays, loss = loop(training.arrays, task_seed, number)
        seconds = time.monotonic() - started
        if not np.isfinite(loss):
            raise PackageError(
                f"{label}: the meta-loss is {loss} between iterations {before} and {before + number}; what was saved "
                "before stays",
                1,
            )
        per_iteration = seconds / number
        training.arrays, training.seconds = arrays, training.seconds + seconds
        training.losses.append([training.iteration, loss])
        training.write()
        rate = (training.iteration - first) / (time.monotonic() - began)
        say(
            f"{label}: {training.iteration}/{package.iterations} ({rate:.3g} it/s, "
            f"{clock((until - training.iteration) / rate)} remaining), loss {loss:.4g}"
        )
    return True
