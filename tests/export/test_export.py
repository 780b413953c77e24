"""The exported training loop: the same numbers under JAX as under TensorFlow, in one run or in parts."""

import ast
import contextlib
import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import operation_by_operation

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import MetaSpec
from maml_tf.export import jax_runner
from maml_tf.export.jax_runner.main import main
from maml_tf.export.jax_runner.package import decode
from maml_tf.export.writer import encode, encoding_of, export_training_loop
from maml_tf.meta.functional import weight_names
from maml_tf.meta.losses import cross_entropy_over_shots, mean_squared_error
from maml_tf.meta.maml import MAML
from maml_tf.meta.task_execution import vectorized_copy
from maml_tf.models.batch_norm import BatchNorm
from maml_tf.models.layers import Conv2D, Dense
from maml_tf.models.mlp import MLP
from maml_tf.ops.max_pool import max_pool
from maml_tf.tasks.episodes import Episodes
from maml_tf.tasks.sinusoid import SinusoidTasks
from maml_tf.training.adam import Adam, TrainingState
from maml_tf.training.loop import compiled_loop
from maml_tf.training.weights import read_weights

pytest.importorskip("jax")
pytestmark = pytest.mark.usefixtures("jax_compiles_fast")
META = MetaSpec(iterations=200, batch_size=4, learning_rate=0.001, gradient_clip=10.0)
ABOUT = {"spec": "synthetic", "profile": "smoke", "spec_hash": "0123456789", "git_commit": "none"}


def sinusoid():
    return MAML(MLP(1, (8,), 1), mean_squared_error, 0.01, 1), SinusoidTasks(5, 5)


class OneBlock(keras.Model):
    """The first block and the output layer of MiniImagenetConv: all its operations, quicker to compile."""

    def __init__(self, side, ways):
        super().__init__()
        self.convolution, self.norm = Conv2D(2, name="conv"), BatchNorm(name="norm")
        self.output_layer = Dense(ways, name="output")
        self(keras.ops.zeros((1, side, side, 3)))

    def call(self, x):
        x = max_pool(tf.nn.relu(self.norm(self.convolution(x))))
        return self.output_layer(tf.reshape(x, [*x.shape[:-3], -1]))


def photographs():
    images = np.random.default_rng(1).integers(256, size=(6, 4, 7, 7, 3), dtype=np.uint8)
    learner = MAML(OneBlock(7, 3), cross_entropy_over_shots(1), 0.1, 1)
    return vectorized_copy(learner), Episodes(images, 3, 1, 2)


def labelled_images():
    """The tasks of `photographs`, for a learner that is quicker to export."""
    _, tasks = photographs()
    return MAML(MLP(7 * 7 * 3, (3,), 3), cross_entropy_over_shots(1), 0.1, 1), tasks


def package(folder, build=sinusoid, seeds=(1,), meta=META, snapshot_every=50):
    """Exports, and returns the learner and its tasks."""
    keras.utils.set_random_seed(1)
    learner, tasks = build()
    states = {seed: [p + 0.01 * seed for p in learner.initial_params()] for seed in seeds}
    export_training_loop(learner, tasks, meta, states, folder=folder, snapshot_every=snapshot_every, about=ABOUT)
    return learner, tasks


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(the folder of a sinusoid's package with two seeds, its learner, its tasks)."""
    folder = tmp_path_factory.mktemp("exported")
    return folder, *package(folder, seeds=(1, 2))


def trained(out, seed=1):
    with np.load(out / "synthetic" / f"seed_{seed}" / "state.npz") as archive:
        return dict(archive)


def run(*arguments):
    return main([*map(str, arguments)])


@pytest.mark.parametrize("rounded", [False, True])
def test_products_are_asked_for_in_full_unless_they_may_be_rounded(tmp_path, rounded):
    learner, tasks = sinusoid()
    states = {1: learner.initial_params()}
    export_training_loop(
        learner, tasks, META, states, folder=tmp_path, snapshot_every=50, about=ABOUT, tensor_float_32=rounded
    )
    text = (tmp_path / "synthetic" / "training_loop.mlir").read_text()
    products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    assert products
    assert [("HIGHEST" in line) for line in products] == [not rounded] * len(products)


@pytest.mark.parametrize(("build", "iterations"), [(sinusoid, 200), (photographs, 8)])
def test_both_runtimes_reach_the_same_weights(build, iterations, tmp_path, exported):
    folder = tmp_path / "package"
    if build is sinusoid:
        folder, learner, tasks = exported
    else:
        learner, tasks = package(folder, build)
    assert run(folder / "synthetic", "--out", tmp_path / "out", "--seeds", 1, "--until", iterations) == 0
    start = TrainingState.start([p + 0.01 for p in learner.initial_params()])
    with contextlib.nullcontext() if build is sinusoid else operation_by_operation():  # the latter is sooner done
        loop = compiled_loop(learner, tasks, Adam(META.learning_rate), batch_size=4, seed=(1, 0), gradient_clip=10.0)
        expected, loss = loop(start, tf.constant(iterations))
    state = trained(tmp_path / "out")
    assert state["iteration"] == iterations
    for variable, name, ours in zip(
        learner.model.trainable_variables, weight_names(learner.model), expected.params, strict=True
    ):
        # A bias before batch norm has no gradient but rounding noise, which Adam makes into steps of full size.
        if build is sinusoid or variable.name == "kernel":
            np.testing.assert_allclose(state[f"params/{name}"], ours, rtol=1e-4, atol=1e-5)
    per_call = np.diff(state["losses"][:, 0], prepend=0)
    assert np.average(state["losses"][:, 1], weights=per_call) == pytest.approx(float(loss), rel=1e-4)


def test_a_training_in_parts_equals_a_whole_one_bit_for_bit(tmp_path, capsys, exported):
    folder, learner, _ = exported
    in_parts = ["--out", tmp_path / "parts", "--seeds", 2]
    assert run(folder / "synthetic", "--out", tmp_path / "whole") == 0
    assert run(folder / "synthetic", *in_parts, "--seconds", 0) == 0
    assert "stopped: the time is used; the same command continues" in capsys.readouterr().out
    assert trained(tmp_path / "parts", 2)["iteration"] == 1
    assert run(folder / "synthetic", *in_parts, "--until", 70) == 0
    subprocess.run([sys.executable, folder / "run.py", folder / "synthetic", *map(str, in_parts)], check=True)
    whole, parts = trained(tmp_path / "whole", 2), trained(tmp_path / "parts", 2)
    for name in whole:
        if name not in ("losses", "seconds"):  # by call, and the calls differ
            np.testing.assert_array_equal(whole[name], parts[name])
    names = ["snapshot_0000050.npz", "snapshot_0000100.npz", "snapshot_0000150.npz", "snapshot_0000200.npz"]
    for name in names:
        ours, theirs = (
            read_weights(tmp_path / part / "synthetic" / "seed_2" / name, learner.model) for part in ("whole", "parts")
        )
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    assert sorted(path.name for path in (tmp_path / "parts" / "synthetic" / "seed_2").iterdir()) == [
        *names,
        "state.npz",
    ]
    assert not np.array_equal(whole["params/output/kernel"], trained(tmp_path / "whole", 1)["params/output/kernel"])
    assert run(folder / "synthetic", *in_parts) == 0
    assert "have reached iteration 200: nothing to do" in capsys.readouterr().out


def test_what_is_missing_damaged_or_wrong_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("maml_tf.export.writer.PIECE_BYTES", 2 * 4 * 7 * 7 * 3)  # two classes a piece
    package(tmp_path / "package", labelled_images)
    folder, out = tmp_path / "package" / "synthetic", tmp_path / "out"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [piece["classes"] for piece in manifest["examples"]["pieces"]] == [[0, 2], [2, 4], [4, 6]]
    first, _, last = (folder / piece["file"] for piece in manifest["examples"]["pieces"])

    def fails(code, message, *options):
        assert run(folder, "--out", out, *options) == code
        assert message in capsys.readouterr().err
        assert not out.exists()

    fails(2, "--seeds 3: the package has the seeds 1", "--seeds", 3)
    fails(2, "--until 201: allowed are 1 to 200", "--until", 201)
    first.rename(tmp_path / "first")
    last.rename(tmp_path / "last")
    fails(3, f"synthetic: 2 of 5 files are missing still: ../examples/{first.name}, ../examples/{last.name}")
    shutil.copy(tmp_path / "last", first)
    shutil.copy(tmp_path / "last", last)
    fails(3, f"not as the manifest says, bring them again: ../examples/{first.name}")
    for key, wrong, message in (
        ("format", 2, "format 2: this runner reads format 1"),
        ("module", None, "not a package's manifest (TypeError"),
    ):
        (folder / "manifest.json").write_text(json.dumps(manifest | {key: wrong}))
        fails(3, message)
    (folder / "manifest.json").write_text("{")
    fails(3, "manifest.json: not a package's manifest (JSONDecodeError")
    (folder / "manifest.json").unlink()
    fails(3, "manifest.json: cannot be read (No such file or directory): is this a package?")


def test_what_was_trained_from_another_package_is_not_gone_on_with(tmp_path, capsys, exported):
    one = exported[0] / "synthetic"
    package(tmp_path / "other", meta=dataclasses.replace(META, learning_rate=0.1))
    assert run(one, "--out", tmp_path / "out", "--seeds", 1, "--until", 1) == 0
    assert run(tmp_path / "other" / "synthetic", "--out", tmp_path / "out") == 2
    assert "state.npz was trained from another package; name another --out folder" in capsys.readouterr().err
    (tmp_path / "out" / "synthetic" / "seed_1" / "state.npz").write_bytes(b"not an archive")
    assert run(one, "--out", tmp_path / "out") == 3
    assert "state.npz: cannot be read" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was_saved(tmp_path, capsys):
    package(tmp_path / "package", meta=dataclasses.replace(META, learning_rate=float("inf")))
    assert run(tmp_path / "package" / "synthetic", "--out", tmp_path / "out") == 1
    assert "the meta-loss is nan between iterations 1 and 50; what was saved before stays" in capsys.readouterr().err
    assert trained(tmp_path / "out")["iteration"] == 1


def test_a_package_is_not_written_over_another(exported):
    with pytest.raises(UsageError, match=r"synthetic holds a package already: remove it, or name another folder"):
        package(exported[0])


def test_packages_share_their_examples_and_the_same_training_has_the_same_identity(tmp_path):
    package(tmp_path, labelled_images)
    (piece,) = (tmp_path / "examples").iterdir()
    written = piece.stat().st_mtime_ns
    first = json.loads((tmp_path / "synthetic" / "manifest.json").read_text())["initial_states"]
    for damage, same_file in ((False, True), (True, False)):
        shutil.rmtree(tmp_path / "synthetic")
        if damage:
            piece.write_bytes(b"damaged")
        package(tmp_path, labelled_images)
        assert [piece] == list((tmp_path / "examples").iterdir())
        assert (piece.stat().st_mtime_ns == written) == same_file
        again = json.loads((tmp_path / "synthetic" / "manifest.json").read_text())["initial_states"]
        assert again["1"]["training"] == first["1"]["training"]


def test_examples_survive_their_encoding():
    rng = np.random.default_rng(0)
    for images, encoding in (
        (np.where(rng.random((3, 5, 7, 7, 1)) < 0.5, 255, 0).astype(np.uint8), "bits"),
        (rng.integers(256, size=(3, 5, 7, 7, 3), dtype=np.uint8), "differences"),
    ):
        assert encoding_of(images) == encoding
        np.testing.assert_array_equal(decode(encode(images, encoding), encoding, images.shape), images)


def test_the_runner_needs_neither_tensorflow_nor_maml_tf():
    files = pathlib.Path(jax_runner.__file__).parent.glob("*.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"jax", "numpy"}
