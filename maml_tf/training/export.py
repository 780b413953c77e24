"""A training loop as a package of files, for a machine with a GPU and JAX but no TensorFlow.

The package holds the compiled loop as a StableHLO module, every seed's initial state, the examples that the tasks are
cut from, a manifest and the runner (`maml_tf/training/stablehlo_runner.py`), which needs JAX and NumPy alone.
"""

import json
import pathlib
import re
import shutil

import numpy as np
import tensorflow as tf

from maml_tf.errors import UsageError
from maml_tf.files import written_whole
from maml_tf.training import stablehlo_runner
from maml_tf.training.adam import Adam, TrainingState
from maml_tf.training.loop import compiled_loop
from maml_tf.training.run_folder import weight_names

# Examples in one piece, before compression: the pieces stay below it.
PIECE_BYTES = 32 * 2**20
# Debug locations name files of the exporting machine; the hints are of a dialect that other runtimes need not know.
LOCATION_LINES, LOCATIONS = re.compile(r"^#loc.*\n", re.MULTILINE), re.compile(r' loc\((?:[^()"]|"[^"]*")*\)')
HINTS = re.compile(r" attributes \{mhlo\.[^{}]*\}| \{mhlo\.frontend_attributes = \{[^{}]*\}\}")


def export_training_loop(learner, distribution, meta, initial_params, *, folder, snapshot_every, about):
    """Writes the package of one training.

    Args:
        learner: has `meta_gradient(params, batch)` and `model`, in a form that XLA compiles well on a GPU.
        distribution: the TaskDistribution to train on.
        meta: a MetaSpec: iterations, batch_size, learning_rate, gradient_clip.
        initial_params: {seed: theta at iteration 0}.
        folder: where the package goes.
        snapshot_every: iterations between two snapshots of the weights.
        about: what the manifest says beside that: spec, spec_hash, profile, git_commit, ...

    Raises:
        UsageError: the folder holds a package already.
    """
    folder = pathlib.Path(folder)
    if (folder / "manifest.json").exists():
        raise UsageError(f"{folder} holds a package already: remove it, or name another folder")
    lists = ("params", "first_moments", "second_moments")
    names = ["iteration", *(f"{part}/{name}" for part in lists for name in weight_names(learner.model))]
    initial_states = {}
    for seed, params in initial_params.items():
        state = tf.nest.flatten(TrainingState.start(params))
        arrays = {name: np.asarray(tensor) for name, tensor in zip(names, state, strict=True)}
        initial_states[seed] = _write_arrays(folder, f"initial_seed_{seed}.npz", task_seed=[seed, 0], **arrays)
    examples = distribution.examples
    arguments = [_described(name, tensor) for name, tensor in zip(names, state, strict=True)]
    arguments += [] if examples is None else [_described("examples", examples)]
    arguments += [{"name": "task_seed", "shape": [2], "dtype": "int32"}]
    arguments += [{"name": "num_iterations", "shape": [], "dtype": "int32"}]
    with written_whole(folder / "training_loop.mlir") as file:
        file.write(stablehlo_of(learner, distribution, meta, params, arguments))
    manifest = about | {
        "format": stablehlo_runner.FORMAT,
        "iterations": meta.iterations,
        "snapshot_every": snapshot_every,
        "module": _checksummed(folder, "training_loop.mlir"),
        "initial_states": initial_states,
        "examples": None if examples is None else _write_examples(folder, np.asarray(examples)),
        "state": names,
        "arguments": arguments,
        "results": [*arguments[: len(names)], {"name": "mean_loss", "shape": [], "dtype": "float32"}],
    }
    with written_whole(folder / "run.py", "wb") as file, open(stablehlo_runner.__file__, "rb") as runner:
        shutil.copyfileobj(runner, file)
    with written_whole(folder / "manifest.json") as file:  # last: a folder without it is no package
        json.dump(manifest, file, indent=1)
        file.write("\n")


def stablehlo_of(learner, distribution, meta, params, arguments):
    """The compiled loop of `maml_tf.training.loop`, as the text of a StableHLO module.

    Its function `main` takes the arrays of the TrainingState, the examples (where the tasks are cut from some), the
    seed of the task draws and the number of iterations; it returns the new state's arrays and the mean meta-loss.

    Float32 products are asked for in full: GPUs would else round their factors to ten bits (TensorFloat-32).
    """
    like = TrainingState.start(params)
    size = len(tf.nest.flatten(like))

    @tf.function(jit_compile=True, autograph=False)
    def main(*arrays):
        *examples, task_seed, num_iterations = arrays[size:]
        loop = compiled_loop(
            learner,
            distribution.over(*examples) if examples else distribution,
            Adam(meta.learning_rate),
            batch_size=meta.batch_size,
            seed=task_seed,
            gradient_clip=meta.gradient_clip,
        )
        state, loss = loop(tf.nest.pack_sequence_as(like, arrays[:size]), num_iterations)
        return *tf.nest.flatten(state), loss

    tensor_float_32 = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        lowered = main.experimental_get_compiler_ir(*(tf.TensorSpec(a["shape"], a["dtype"]) for a in arguments))
        text = lowered(stage="stablehlo")
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(tensor_float_32)
    text = HINTS.sub("", LOCATIONS.sub("", LOCATION_LINES.sub("", text)))
    for stranger in ("loc(", "mhlo.", "custom_call"):
        if stranger in text:
            line = next(line for line in text.splitlines() if stranger in line)
            raise RuntimeError(f"the exported module holds {stranger!r}, which other runtimes may not know: {line}")
    return text


def encode(images):
    """A uint8 array in a form that compresses well: (encoded array, name of the encoding).

    Two-valued images become bits. Others become the differences to the pixel above, to the one on the left and to the
    channel before, modulo 256: photographs then take half their size. `stablehlo_runner.decode` undoes both.
    """
    if not np.any((images != 0) & (images != 255)):
        return np.packbits(images != 0), "bits"
    for axis in (-3, -2, -1):
        images = np.diff(images, axis=axis, prepend=np.zeros_like(images.take([0], axis)))
    return images, "differences"


def _write_examples(folder, images):
    """Writes the examples in pieces of whole classes; returns their description for the manifest."""
    per_piece = max(1, PIECE_BYTES // images[0].nbytes)
    pieces = []
    for number, start in enumerate(range(0, len(images), per_piece)):
        part = images[start : start + per_piece]
        encoded, encoding = encode(part)
        piece = _write_arrays(folder, f"examples_{number:02d}.npz", encoded=encoded)
        pieces.append({"classes": [start, start + len(part)], "encoding": encoding, **piece})
    return {"shape": list(images.shape), "pieces": pieces}


def _write_arrays(folder, name, **arrays):
    with written_whole(folder / name, "wb") as file:
        np.savez_compressed(file, **arrays)
    return _checksummed(folder, name)


def _checksummed(folder, name):
    return {"file": name, "sha256": stablehlo_runner.file_sha256(folder / name)}


def _described(name, tensor):
    return {"name": name, "shape": tensor.shape.as_list(), "dtype": tensor.dtype.name}
