#!/usr/bin/env python3
"""Trains from a package that `maml_tf export-training-loop` wrote. Needs JAX and NumPy, no TensorFlow and no maml_tf.

    python run.py PACKAGE --out OUT [--seeds 1 2] [--until 20000] [--seconds 540]

PACKAGE is the folder of one spec, OUT may be the same for all. Every seed gets a folder OUT/<spec>/seed_<n>:
`state.npz`, from which a later call goes on to the same numbers, and `snapshot_<iteration>.npz`, the weights that are
validated and tested afterwards by `maml_tf evaluate SPEC.yaml --snapshots OUT`. A GPU is used where JAX finds one.

Exit codes: 0 done, or stopped by --until or --seconds; 1 the training diverged; 2 wrong usage; 3 files of the package
are missing or damaged.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import platform
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FORMAT = 1
SECONDS_PER_CALL = 10.0  # iterations are grouped into calls of about this length: a line, and a state saved, each
RESERVE = 2.0  # seconds kept back from --seconds for saving and for a call that takes longer than the ones before


class PackageError(RuntimeError):
    """The package, or what was trained from it, is incomplete, damaged or another one; carries the exit code."""

    def __init__(self, message: str, exit_code: int = 3):
        super().__init__(message)
        self.exit_code = exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=pathlib.Path, metavar="PACKAGE", help="folder with a manifest.json")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where states and snapshots go")
    parser.add_argument("--seeds", type=int, nargs="+", help="some of the package's seeds; all by default")
    parser.add_argument("--until", type=int, metavar="N", help="stop at iteration N; at the last one by default")
    parser.add_argument("--seconds", type=float, metavar="S", help="stop before S seconds are over, start-up included")
    options = parser.parse_args(arguments)
    try:
        package = Package(options.package)
        seeds = options.seeds or package.seeds
        for seed in seeds:
            if seed not in package.seeds:
                raise PackageError(f"--seeds {seed}: the package has the seeds {_listed(package.seeds)}", 2)
        until = package.iterations if options.until is None else options.until
        if not 0 < until <= package.iterations:
            raise PackageError(f"--until {until}: allowed are 1 to {package.iterations}", 2)
        deadline = float("inf") if options.seconds is None else started + options.seconds
        package.check_complete()
        trainings = [Training(package, seed, options.out) for seed in seeds]
        if all(training.iteration >= until for training in trainings):
            say(f"{package.name}: seeds {_listed(seeds)} have reached iteration {until}: nothing to do")
            return 0
        loop = Loop(package)
        for training in trainings:
            if not train(training, loop, until, deadline):
                say("stopped: the time is used; the same command goes on")
                break
    except PackageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


class Package:
    """What `maml_tf export-training-loop` wrote: manifest, compiled loop, initial states, examples in pieces."""

    def __init__(self, folder: pathlib.Path):
        self.folder = pathlib.Path(folder)
        path = self.folder / "manifest.json"
        try:
            self.manifest = json.loads(path.read_text(encoding="utf-8"))
            if self.manifest["format"] != FORMAT:
                raise PackageError(f"{path}: format {self.manifest['format']!r}: this runner reads format {FORMAT}")
            self.name = f"{self.manifest['spec']} ({self.manifest['profile']})"
            self.iterations, self.snapshot_every = self.manifest["iterations"], self.manifest["snapshot_every"]
            self.initial_states = {int(seed): file for seed, file in self.manifest["initial_states"].items()}
            self.module, self.examples = self.manifest["module"], self.manifest["examples"]
            self.pieces = self.examples["pieces"] if self.examples else []
            self.state, self.arguments = self.manifest["state"], self.manifest["arguments"]
            self.results = self.manifest["results"]
            self.files = [self.module, *self.initial_states.values(), *self.pieces]
            if not all(isinstance(file["file"], str) and isinstance(file["sha256"], str) for file in self.files):
                raise TypeError("files need a name and a checksum")
        except OSError as error:
            raise PackageError(f"{path}: cannot be read ({error.strerror}): is this a package?") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PackageError(f"{path}: not a package's manifest ({type(error).__name__}: {error})") from None
        self.seeds = list(self.initial_states)

    def check_complete(self) -> None:
        """Raises a PackageError that names every file that has not arrived yet, or is damaged."""
        missing = [file["file"] for file in self.files if not (self.folder / file["file"]).exists()]
        if missing:
            raise PackageError(
                f"{self.folder}: {len(missing)} of {len(self.files)} files are missing still: {_listed(missing)}"
            )
        with concurrent.futures.ThreadPoolExecutor() as pool:
            checksums = list(pool.map(lambda file: file_sha256(self.folder / file["file"]), self.files))
        damaged = [f["file"] for f, checksum in zip(self.files, checksums, strict=True) if checksum != f["sha256"]]
        if damaged:
            raise PackageError(f"{self.folder}: not as the manifest says, bring them again: {_listed(damaged)}")

    def read_initial_state(self, seed: int) -> dict[str, np.ndarray]:
        """{name: array} at iteration 0, and the seed of the task draws as `task_seed`."""
        return _read_arrays(self.folder / self.initial_states[seed]["file"])

    def read_examples(self) -> np.ndarray:
        """The array that tasks are cut from: uint8 [classes, images, height, width, channels]."""
        images = np.empty(self.examples["shape"], np.uint8)

        def read(piece):
            part = images[slice(*piece["classes"])]
            part[...] = decode((self.folder / piece["file"]).read_bytes(), piece["encoding"], part.shape)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(read, self.pieces))
        return images


def decode(packed: bytes, encoding: str, shape: Sequence[int]) -> np.ndarray:
    """Undoes the packing of a piece of examples.

    Args:
        packed: bytes, deflated.
        encoding: of what was deflated. "bits": eight pixels of 0 or 255 a byte; "differences": from the pixel above,
            from the one to the left and from the channel before, modulo 256.
        shape: of the uint8 array that is returned.
    """
    values = np.frombuffer(zlib.decompress(packed), np.uint8)
    if encoding == "bits":
        return np.unpackbits(values, count=int(np.prod(shape))).reshape(shape) * np.uint8(255)
    if encoding == "differences":
        values = values.reshape(shape)
        for axis in (-3, -2, -1):
            values = np.cumsum(values, axis=axis, dtype=np.uint8)
        return values
    raise PackageError(f"examples with the encoding {encoding!r}: this runner knows 'bits' and 'differences'")


class Training:
    """One seed: its state, on the device while it runs, and its folder.

    Attributes:
        arrays: the state's arrays in the module's order; numpy's, or the device's.
        losses: [[iteration, mean meta-loss since the row before], ...].
        seconds: spent in the training loop so far, compilation apart.
        places: where it ran, in order.
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
            state = _read_arrays(self.state_file)
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
        """Iterations done, a Python integer."""
        return int(self.arrays[0])

    def write(self) -> None:
        """Replaces the saved state as a whole; before it, the snapshot where one is due."""
        arrays = {name: np.asarray(array) for name, array in zip(self.package.state, self.arrays, strict=True)}
        iteration, package = self.iteration, self.package
        if iteration % package.snapshot_every == 0 or iteration == package.iterations:
            weights = {name[len("params/") :]: values for name, values in arrays.items() if name.startswith("params/")}
            _write_arrays(self.folder / f"snapshot_{iteration:07d}.npz", weights)
        _write_arrays(
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


class Loop:
    """The package's compiled loop on the device that JAX prefers, with the examples there."""

    def __init__(self, package: Package):
        import jax

        self.jax, self.device = jax, jax.devices()[0]
        on_cpu = self.device.platform == "cpu"
        self.place = {
            "hardware": f"CPU, {platform.machine()}, {os.cpu_count()} cores" if on_cpu else self.device.device_kind,
            "runtime": f"jax {jax.__version__}, numpy {np.__version__}, Python {platform.python_version()}",
        }
        started = time.monotonic()
        examples = [package.read_examples()] if package.examples else []
        self.examples = [jax.device_put(array, self.device) for array in examples]
        say(f"{package.name}: on {self.place['hardware']}, {self.place['runtime']}")
        if on_cpu:
            say("JAX finds no GPU here: this form of the loop is made for one and is slow on a CPU")
        text = (package.folder / package.module["file"]).read_text(encoding="utf-8")
        shapes = [jax.ShapeDtypeStruct(tuple(a["shape"]), a["dtype"]) for a in package.arguments]
        self.compiled = jax.jit(as_jax_function(text, package.results)).lower(*shapes).compile()
        say(f"examples read and loop compiled in {time.monotonic() - started:.0f} s")

    def put(self, arrays: Any) -> Any:
        """The arrays on the device."""
        return [self.jax.device_put(array, self.device) for array in arrays]

    def __call__(self, state, task_seed, num_iterations):
        """(state after `num_iterations` more, their mean meta-loss as a float); the state stays on the device."""
        *state, loss = self.compiled(*state, *self.examples, task_seed, np.int32(num_iterations))
        return state, float(loss)


def as_jax_function(text: str, results: Sequence[dict[str, Any]]) -> Callable[..., Any]:
    """A StableHLO module, with a function `main` of arrays, as a function of JAX arrays.

    Args:
        text: the module.
        results: [{"shape": ..., "dtype": ...}, ...], what the function returns.
    """
    from jax.core import ShapedArray
    from jax.extend.core import Primitive
    from jax.extend.mlir import ir
    from jax.extend.mlir.dialects import func
    from jax.interpreters import mlir

    primitive = Primitive("training_loop")
    primitive.multiple_results = True

    @primitive.def_abstract_eval
    def shapes(*_):
        return [ShapedArray(tuple(result["shape"]), np.dtype(result["dtype"])) for result in results]

    def lower(context, *operands):
        module: Any = ir.Module.parse(text)
        for function in list(module.body.operations):
            if function.name.value == "main":  # JAX has a main of its own
                function.attributes["sym_name"] = ir.StringAttr.get("training_loop")
                function.attributes["sym_visibility"] = ir.StringAttr.get("private")
                types = function.type.results
            context.module_context.module.body.append(function)
        return list(func.CallOp(types, ir.FlatSymbolRefAttr.get("training_loop"), list(operands)).results)

    mlir.register_lowering(primitive, lower)
    return primitive.bind


def train(training: Training, loop: Loop, until: int, deadline: float) -> bool:
    """Trains one seed until iteration `until`; returns whether it got there before the deadline."""
    package = training.package
    label, first, clock = f"{package.name}, seed {training.seed}", training.iteration, time.monotonic()
    if training.iteration >= until:
        say(f"{label}: has reached iteration {training.iteration}")
        return True
    if training.iteration:
        say(f"{label}: goes on at iteration {training.iteration}")
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
        rate = (training.iteration - first) / (time.monotonic() - clock)
        say(
            f"{label}: {training.iteration}/{package.iterations} ({rate:.3g} it/s, "
            f"{_clock((until - training.iteration) / rate)} remaining), loss {loss:.4g}"
        )
    return True


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


def file_sha256(path: pathlib.Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 22), b""):
            digest.update(block)
    return digest.hexdigest()


def _read_arrays(path):
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise PackageError(f"{path}: cannot be read ({error})") from None


def _write_arrays(path, arrays):
    """Writes an .npz whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with open(partial, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _listed(items):
    items = [str(item) for item in items]
    return ", ".join(items if len(items) <= 40 else [*items[:40], f"and {len(items) - 40} more"])


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


if __name__ == "__main__":
    sys.exit(main())
