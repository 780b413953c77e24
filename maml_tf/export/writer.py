"""A training loop as a package of files, for a machine with a GPU and JAX but no TensorFlow.

run.py, jax_runner/             the runner (`maml_tf/export/jax_runner`): needs JAX and NumPy alone
examples/<number>_<hash>.z      the images that tasks are cut from, packed; packages on the same images share them
<spec>/training_loop.mlir       the compiled loop as a StableHLO module
<spec>/initial_seed_<n>.npz     the state at iteration 0
<spec>/manifest.json            what the files are, with their checksums, and how the module is called
"""

import hashlib
import json
import pathlib
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from maml_tf._io import atomic_write
from maml_tf.errors import UsageError
from maml_tf.export import jax_runner
from maml_tf.export.jax_runner.package import FORMAT, decode, file_sha256
from maml_tf.tasks.base import TaskDistribution
from maml_tf.training.adam import TrainingState
from maml_tf.training.loop import compiled_loop
from maml_tf.training.optimizer import default_optimizer
from maml_tf.training.schedules import rate_of

# Examples in one piece, before compression: the pieces stay below it.
PIECE_BYTES = 32 * 2**20
RUN_SCRIPT = '''#!/usr/bin/env python3
"""Trains from the packages of this folder: python run.py --help"""

import sys

from jax_runner.main import main

sys.exit(main())
'''
# Debug locations name files of the exporting machine; the hints are of a dialect that other runtimes need not know.
LOCATION_LINES, LOCATIONS = re.compile(r"^#loc.*\n", re.MULTILINE), re.compile(r' loc\((?:[^()"]|"[^"]*")*\)')
SYMBOLS = re.compile(r"@[\w.$-]+")
HINTS = re.compile(r" attributes \{mhlo\.[^{}]*\}| \{mhlo\.frontend_attributes = \{[^{}]*\}\}")


def export_training_loop(
    learner: Any,
    distribution: TaskDistribution,
    meta: Any,
    initial_params: dict[int, list[tf.Tensor]],
    *,
    folder: pathlib.Path,
    snapshot_every: int,
    about: dict[str, Any],
    tensor_float_32: bool = False,
) -> None:
    """Writes the package of one training.

    Args:
        learner: has `meta_step(params, batch, seed)` and `model`, in a form that XLA compiles well on a GPU.
        distribution: the TaskDistribution to train on.
        meta: a MetaSpec: iterations, batch_size, learning_rate, gradient_clip.
        initial_params: {seed: theta at iteration 0}.
        folder: where packages are collected; this one goes into a folder in it, named by the spec.
        snapshot_every: iterations between two snapshots of the weights.
        about: further entries of the manifest: spec, spec_hash, profile, git_commit, ...
        tensor_float_32: leave it to the GPU to round the factors of float32 products to ten bits.

    Raises:
        UsageError: the folder holds a package of this spec already.
    """
    collection = pathlib.Path(folder)
    folder = collection / about["spec"]
    if (folder / "manifest.json").exists():
        raise UsageError(f"{folder} holds a package already: remove it, or name another folder")
    lists = ("params", "first_moments", "second_moments")
    names = ["iteration", *(f"{part}/{name}" for part in lists for name in learner.param_names)]
    states = {seed: tf.nest.flatten(TrainingState.start(params)) for seed, params in initial_params.items()}
    one_seed = next(iter(initial_params))
    arguments = [_described(name, tensor) for name, tensor in zip(names, states[one_seed], strict=True)]
    examples = distribution.examples
    arguments += [] if examples is None else [_described("examples", examples)]
    arguments += [{"name": "task_seed", "shape": [2], "dtype": "int32"}]
    arguments += [{"name": "num_iterations", "shape": [], "dtype": "int32"}]
    with atomic_write(folder / "training_loop.mlir") as file:
        file.write(stablehlo_of(learner, distribution, meta, initial_params[one_seed], arguments, tensor_float_32))
    module = _checksummed(folder, "training_loop.mlir")
    pieces = [] if examples is None else _write_examples(collection / "examples", np.asarray(examples))
    initial_states = {}
    for seed, state in states.items():
        arrays: dict[str, Any] = {name: np.asarray(tensor) for name, tensor in zip(names, state, strict=True)}
        with atomic_write(folder / f"initial_seed_{seed}.npz", "wb") as file:
            np.savez(file, task_seed=np.array([seed, 0], np.int32), **arrays)
        initial_states[seed] = _checksummed(folder, f"initial_seed_{seed}.npz")
        initial_states[seed]["training"] = _identity(seed, [module, *pieces], arrays)
    manifest = about | {
        "format": FORMAT,
        "iterations": meta.iterations,
        "snapshot_every": snapshot_every,
        "module": module,
        "initial_states": initial_states,
        "examples": None if examples is None else {"shape": examples.shape.as_list(), "pieces": pieces},
        "state": names,
        "arguments": arguments,
        "results": [*arguments[: len(names)], {"name": "mean_loss", "shape": [], "dtype": "float32"}],
    }
    _write_runner(collection)
    with atomic_write(folder / "manifest.json") as file:  # last: a folder without it is no package
        json.dump(manifest, file, indent=1)
        file.write("\n")


def stablehlo_of(
    learner: Any,
    distribution: TaskDistribution,
    meta: Any,
    params: Sequence[tf.Tensor],
    arguments: Sequence[dict[str, Any]],
    tensor_float_32: bool = False,
) -> str:
    """The compiled loop of `maml_tf.training.loop`, as the text of a StableHLO module.

    Its function `main` takes the arrays of the TrainingState, the examples (where the tasks are cut from some), the
    seed of the task draws and the number of iterations; it returns the new state's arrays and the mean meta-loss.

    Unless `tensor_float_32`, float32 products are asked for in full: GPUs would else round their factors to ten bits.
    """
    like = TrainingState.start(params)
    size = len(tf.nest.flatten(like))

    @tf.function(jit_compile=True, autograph=False)
    def main(*arrays):
        *examples, task_seed, num_iterations = arrays[size:]
        loop = compiled_loop(
            learner,
            distribution.over(*examples) if examples else distribution,
            default_optimizer(rate_of(meta), learner.interpolates),
            batch_size=meta.batch_size,
            seed=task_seed,
            gradient_clip=meta.gradient_clip,
        )
        state, loss = loop(tf.nest.pack_sequence_as(like, arrays[:size]), num_iterations)
        return *tf.nest.flatten(state), loss

    enabled_before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(tensor_float_32)
    try:
        lowered = main.experimental_get_compiler_ir(*(tf.TensorSpec(a["shape"], a["dtype"]) for a in arguments))
        text = lowered(stage="stablehlo")
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(enabled_before)
    text = HINTS.sub("", LOCATIONS.sub("", LOCATION_LINES.sub("", text)))
    text = text.replace("mhlo.copy", "stablehlo.optimization_barrier")  # of a condition; both do nothing to a value
    symbols = {}  # their names depend on what this process built before; numbers make the same loop the same text
    text = SYMBOLS.sub(
        lambda found: symbols.setdefault(found[0], "@main" if found[0] == "@main" else f"@f{len(symbols)}"), text
    )
    for stranger in ("loc(", "mhlo.", "custom_call"):
        if stranger in text:
            line = next(line for line in text.splitlines() if stranger in line)
            raise RuntimeError(f"the exported module holds {stranger!r}, which other runtimes may not know: {line}")
    return text


def _write_runner(collection: pathlib.Path) -> None:
    """Writes the runner: a copy of its modules, and the script that starts it."""
    for module in sorted(pathlib.Path(jax_runner.__file__).parent.glob("*.py")):
        with atomic_write(collection / "jax_runner" / module.name, "wb") as file:
            file.write(module.read_bytes())
    with atomic_write(collection / "run.py") as file:
        file.write(RUN_SCRIPT)


def encoding_of(images: np.ndarray) -> str:
    """How a uint8 array packs well: two-valued images as "bits", others as "differences" (`decode` says what it is)."""
    return "differences" if np.any((images != 0) & (images != 255)) else "bits"


def encode(images: np.ndarray, encoding: str) -> bytes:
    """A uint8 array as bytes; `jax_runner.package.decode` undoes it. Photographs take half their size so."""
    if encoding == "bits":
        return zlib.compress(np.packbits(images != 0))
    for axis in (-3, -2, -1):
        images = np.diff(images, axis=axis, prepend=np.zeros_like(images.take([0], axis)))
    return zlib.compress(np.ascontiguousarray(images))


def _write_examples(folder, images):
    """Writes the examples in pieces of whole classes that are not there yet; returns what the manifest says of them."""
    per_piece = max(1, PIECE_BYTES // images[0].nbytes)
    pieces = []
    for number, start in enumerate(range(0, len(images), per_piece)):
        part = np.ascontiguousarray(images[start : start + per_piece])
        encoding = encoding_of(part)
        path = folder / f"{number:02d}_{hashlib.sha256(part).hexdigest()[:10]}.z"
        if not _holds(path, part, encoding):
            with atomic_write(path, "wb") as file:
                file.write(encode(part, encoding))
        piece = _checksummed(folder, path.name)
        piece["file"] = f"../{folder.name}/{path.name}"
        pieces.append({"classes": [start, start + len(part)], "encoding": encoding, **piece})
    return pieces


def _holds(path, part, encoding):
    """Whether a file holds these examples already."""
    try:
        return np.array_equal(decode(path.read_bytes(), encoding, part.shape), part)
    except (FileNotFoundError, zlib.error, ValueError):
        return False


def _identity(seed, files, initial_state):
    """A checksum of all that decides a training's numbers: module, examples, initial state, seed of the tasks."""
    digest = hashlib.sha256(" ".join([str(seed), *(file["sha256"] for file in files)]).encode())
    for array in initial_state.values():
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _checksummed(folder, name):
    return {"file": name, "sha256": file_sha256(folder / name)}


def _described(name, tensor):
    return {"name": name, "shape": tensor.shape.as_list(), "dtype": tensor.dtype.name}
