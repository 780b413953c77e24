"""A hundred bad inputs: each ends with the documented exit code and one line that names file or option, key and value.

The commands run in this process, as the shell would start them.
"""

import io
import json
import re
import shutil
import sys
import warnings
import zipfile

import numpy as np
import pytest
from helpers import REPRODUCE, SPECS
from synthetic_data import write_omniglot

from maml_tf import cli
from reproduce import compare

MAML, CONV, POINT = "sinusoid_maml", "omniglot_5way_1shot_conv", "point_navigation_maml"
TABLE2, CONTEXT = "sinusoid_multitask_l2_reg", "omniglot_5way_1shot_context_vector"
PRETRAINED, BASELINES = "sinusoid_pretrained", "miniimagenet_5way_baselines"


def change(old, new, spec=MAML):
    """A spec file with one change."""

    def make(folder):
        text = (SPECS / f"{spec}.yaml").read_text(encoding="utf-8")
        assert old in text, old
        path = folder / "spec.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return ["train", path]

    return make


def content(data):
    """A spec file with this content: bytes or a text."""

    def make(folder):
        path = folder / "spec.yaml"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return ["train", path]

    return make


def options(*arguments, spec=MAML, command="train"):
    """Options of a command with a good spec; {tmp} is an empty folder."""
    return lambda folder: [
        command,
        SPECS / f"{spec}.yaml",
        *(str(argument).replace("{tmp}", str(folder)) for argument in arguments),
    ]


def weights(write, name="weights.npz", spec="sinusoid_oracle"):
    """A test of the weights that `write(path, good arrays)` has written."""

    def make(folder):
        with np.load(REPRODUCE / "checkpoints" / spec / "seed_1.npz") as archive:
            write(folder / name, dict(archive))
        return ["evaluate", SPECS / f"{spec}.yaml", "--weights", folder / name]

    return make


def result(change_it, name="sinusoid_oracle"):
    """A comparison of published results of which one is changed by `change_it(content)`, or written by it."""

    def make(folder):
        shutil.copytree(REPRODUCE / "results", folder / "results", ignore=shutil.ignore_patterns("videos", "figures"))
        path = folder / "results" / f"{name}.json"
        mapping = json.loads(path.read_text(encoding="utf-8"))
        changed = change_it(mapping)
        text = json.dumps(mapping) if changed is None else changed
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ["compare", "--published", folder / "results"]

    return make


def listing(option, name, old, new):
    """A comparison with a changed file of targets, known failures or the gate."""

    def make(folder):
        text = (REPRODUCE / name).read_text(encoding="utf-8")
        assert old in text, old
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        return ["compare", option, folder / name]

    return make


def prepared(spoil, spec="omniglot_5way_1shot_nonconv"):
    """A training with a prepared Omniglot that `spoil(folder)` has changed."""

    def make(folder):
        write_omniglot(folder / "data", np.zeros((1623, 20, 28, 28, 1), np.uint8))
        spoil(folder / "data")
        return ["train", SPECS / f"{spec}.yaml", "--profile", "smoke", "--data", folder / "data"]

    return make


def overwritten(folder):
    """200 kB in the middle of the array, which leaves its size and header as they are."""
    with open(folder / "omniglot.npy", "r+b") as file:
        file.seek(10_000_000)
        file.write(b"\x07" * 200_000)


def manifest(**changes):
    def spoil(folder):
        path = folder / "omniglot.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return spoil


def given_twice(path, arrays):
    """An .npz with two arrays of each name, of which a reader would take the last."""
    np.savez(path, **arrays)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", npy(0 * array))


def boundless(path, arrays):
    """An .npz of a few bytes whose arrays claim to hold 10^13 numbers."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(path, "w") as archive:
        for name in arrays:
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(8))


def put(mapping, *keys, value):
    *inside, last = keys
    for key in inside:
        mapping = mapping[key]
    mapping[last] = value


def bombs(levels=9, width=10):
    """References to references: a few lines that stand for 10^9 values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels + 1)]
    return "\n".join(lines)


CASES = {
    # Seeds.
    "no seeds": (change("seeds: [1, 2, 3]", "seeds: []"), 2, r"seeds: \[\] is not allowed; expected different"),
    "the same seed twice": (change("seeds: [1, 2, 3]", "seeds: [1, 1]"), 2, r"seeds: \[1, 1\] is not allowed"),
    "a negative seed": (change("seeds: [1, 2, 3]", "seeds: [-1]"), 2, r"seeds: \[-1\] is not allowed"),
    "a seed of 41 bits": (change("seeds: [1, 2, 3]", "seeds: [1099511627776]"), 2, r"seeds\[0\]: 1099511627776 is not"),
    "seeds of the command": (options("--seeds", 1, 1), 2, r"seeds: \[1, 1\] is not allowed"),
    "a negative seed of the command": (options("--seeds=-1"), 2, r"seeds: \[-1\] is not allowed"),
    "a huge seed of the command": (options("--seeds", 2**40), 2, r"seeds: \[1099511627776\] is not allowed"),
    "a seed that is a text": (change("seeds: [1, 2, 3]", "seeds: [one]"), 2, r"seeds\[0\]: 'one' is not allowed"),
    "a seed that is not whole": (change("seeds: [1, 2, 3]", "seeds: [1.5]"), 2, r"seeds\[0\]: 1.5 is not allowed"),
    "seeds that are a number": (change("seeds: [1, 2, 3]", "seeds: 1"), 2, "seeds: 1 is not allowed; expected a list"),
    # Numbers out of range.
    "infinite learning rate": (change("rate: 0.001", "rate: .inf"), 2, r"meta.learning_rate: inf is not allowed"),
    "NaN learning rate": (change("rate: 0.001", "rate: .nan"), 2, r"meta.learning_rate: nan is not allowed"),
    "learning rate 0": (change("rate: 0.001", "rate: 0"), 2, r"meta: learning_rate: 0.0 is not allowed"),
    "negative learning rate": (change("rate: 0.001", "rate: -0.1"), 2, r"learning_rate: -0.1 is not allowed"),
    "infinite inner step": (change("step_size: 0.01", "step_size: -.inf"), 2, r"inner.step_size: -inf is not allowed"),
    "negative inner step": (change("step_size: 0.01", "step_size: -1"), 2, r"step_size: -1.0 is not allowed"),
    "inner step 0": (change("step_size: 0.01", "step_size: 0"), 2, r"inner.step_size: 0 is not allowed; 'maml' adapts"),
    "no inner step": (change("train_steps: 1", "train_steps: 0"), 2, r"inner.train_steps: 0 is not allowed; 'maml'"),
    "negative steps": (change("train_steps: 1", "train_steps: -3"), 2, r"inner: train_steps: -3 is not allowed"),
    "no iterations": (change("iterations: 70000", "iterations: 0"), 2, r"meta: iterations: 0 is not allowed"),
    "too many iterations": (change("iterations: 70000", "iterations: 70000000000"), 2, r"meta.iterations: 70000000000"),
    "no batch": (change("batch_size: 25", "batch_size: 0"), 2, r"meta: batch_size: 0 is not allowed"),
    "negative clip": (
        change("batch_size: 25", "batch_size: 25\n  gradient_clip: -10"),
        2,
        r"meta: gradient_clip: -10.0 is not allowed; expected a number above 0",
    ),
    "negative test steps": (change("  steps: 10", "  steps: -1"), 2, r"evaluation: steps: -1 is not allowed"),
    "negative test tasks": (change("  tasks: 600", "  tasks: -5"), 2, r"evaluation: tasks: -5 is not allowed"),
    "negative shots of the test": (change("shots: [5, 10, 20]", "shots: [-5]"), 2, r"evaluation: shots: -5 is not"),
    "shots twice": (change("shots: [5, 10, 20]", "shots: [5, 5]"), 2, r"shots: \[5, 5\] is not allowed"),
    "no shots of the test": (change("shots: [5, 10, 20]", "shots: []"), 2, r"shots: \[\] is not allowed"),
    "negative shots": (change("  shots: 10 ", "  shots: -10 "), 2, r"tasks: shots: -10 is not allowed"),
    "no hidden layer": (change("hidden: [40, 40]", "hidden: []"), 2, r"model: hidden: \[\] is not allowed"),
    "hidden layer of 0 units": (change("hidden: [40, 40]", "hidden: [40, 0]"), 2, r"hidden: \[40, 0\] is not allowed"),
    "negative context": (
        change("hidden: [40, 40]", "hidden: [40, 40]\n  context_size: -1"),
        2,
        r"model: context_size: -1 is not allowed",
    ),
    "one way": (
        change("ways: 5", "ways: 1", CONV),
        2,
        r"tasks: ways: 1 is not allowed; expected a whole number from 2",
    ),
    "no ways": (change("ways: 5", "ways: 0", CONV), 2, r"tasks: ways: 0 is not allowed"),
    "negative queries": (change("test_queries: 1", "test_queries: -1", CONV), 2, r"test_queries: -1 is not allowed"),
    "negative filters": (change("filters: 64", "filters: -64", CONV), 2, r"model: filters: -64 is not allowed"),
    "negative seed of the split": (change("split_seed: 1", "split_seed: -1", CONV), 2, r"split_seed: -1 is not"),
    "validation every 0 iterations": (change("every: 1000", "every: 0", CONV), 2, r"validation: every: 0 is not"),
    "negative validation steps": (change("  steps: 3 ", "  steps: -3 ", CONV), 2, r"validation: steps: -3 is not"),
    "NaN limit of the divergence": (change("max_kl: 0.01", "max_kl: .nan", POINT), 2, r"meta.max_kl: nan is not"),
    "negative limit of the divergence": (change("max_kl: 0.01", "max_kl: -1", POINT), 2, r"max_kl: -1.0 is not"),
    "no trajectories": (change("trajectories: 20", "trajectories: 0", POINT), 2, r"trajectories: 0 is not allowed"),
    "test steps of size 0": (change("step_size: 0.5 ", "step_size: 0.0 ", POINT), 2, r"step_size: 0"),
    "no regressors": (change("regressors: 500", "regressors: 0", TABLE2), 2, r"multitask: regressors: 0 is not"),
    "negative strength": (change("[0.00001,", "[-0.1,", TABLE2), 2, r"multitask: strengths: -0.1 is not allowed"),
    "no strengths": (
        change("strengths: [0.00001,", "strengths: []  #", TABLE2),
        2,
        r"strengths: at least one is needed",
    ),
    "threshold 0": (change("threshold: 0.02", "threshold: 0", TABLE2), 2, r"multitask: threshold: 0.0 is not allowed"),
    "negative decay": (change("[0.8, 1.0]", "[-0.8]", BASELINES), 2, r"inner: decay_grid: -0.8 is not allowed"),
    "negative step in the grid": (change("[0.0001,", "[-0.0001,", PRETRAINED), 2, r"step_grid: -0.0001 is not allowed"),
    # Combinations.
    "tuned step of MAML": (
        change("step_size: 0.01 ", "step_grid: [0.1]\n  step_size: tuned ", MAML),
        2,
        r"inner.step_size: 'tuned' is not allowed; 'maml' trains with a number",
    ),
    "method of another experiment": (change("method: maml", "method: pretrained", CONV), 2, r"method: 'pretrained' is"),
    "context vector of the sinusoid": (
        change("method: maml", "method: context_vector"),
        2,
        r"method: 'context_vector'",
    ),
    "convolutions of the sinusoid": (
        change("network: mlp", "network: omniglot_conv"),
        2,
        r"model.network: 'omniglot_co",
    ),
    "policy of images": (
        change("network: omniglot_conv", "network: gaussian_policy", CONV),
        2,
        r"model.network: 'gauss",
    ),
    "context vector without z": (change("context_size: 3", "context_size: 0", CONTEXT), 2, r"needs model.context_size"),
    "an environment that is not known": (change("point_navigation", "point", POINT), 2, r"environment: 'point' is not"),
    "a data set that is not known": (
        change("dataset: omniglot", "dataset: mnist", CONV),
        2,
        r"dataset: 'mnist' is not",
    ),
    "a method that is a list": (change("method: maml", "method: [maml]"), 2, r"method: \['maml'\] is not allowed"),
    # YAML.
    "a key twice": (
        change("  batch_size: 25", "  batch_size: 25\n  batch_size: 30"),
        2,
        r"'batch_size' is given twice",
    ),
    "a section twice": (change("evaluation:", "meta: {}\nevaluation:"), 2, r"the key 'meta' is given twice"),
    "not UTF-8": (content(b"experiment: \xff\xfe"), 2, r"spec.yaml: not valid YAML: not UTF-8"),
    "UTF-16": (content("experiment: sinusoid".encode("utf-16")), 2, r"spec.yaml: not valid YAML"),
    "exploding references": (
        content(bombs()),
        2,
        r"values with all references written out; at most 200000 are allowed",
    ),
    "a reference inside itself": (content("a: &a [*a]"), 2, r"a reference is inside of what it refers to"),
    "a large file": (content("a: " + "x" * 3_000_000), 2, r"3000003 bytes are not allowed; expected at most 2000000"),
    "nested too deeply": (content("[" * 20000), 2, r"spec.yaml: not valid YAML"),
    "a list at the top": (content("- a\n- b"), 2, r"a mapping of keys is expected at the top level"),
    "an empty file": (content(""), 2, r"a mapping of keys is expected at the top level"),
    "a Python object": (content("!!python/object/apply:os.system ['exit 9']"), 2, r"spec.yaml: not valid YAML"),
    "a byte of 0": (content("a: \0"), 2, r"spec.yaml: not valid YAML"),
    "a folder": (lambda folder: ["train", folder], 2, r"cannot be read \(Is a directory\)"),
    "a file that is missing": (lambda folder: ["train", folder / "no.yaml"], 2, r"no.yaml: cannot be read"),
    "a section that is a number": (change("meta:\n", "meta: 7\nother:\n"), 2, r"unknown key 'other'|meta: 7"),
    "profiles that are a list": (
        change("profiles:\n  smoke:", "profiles: [1]\nx:"),
        2,
        r"profiles: a mapping with keys",
    ),
    "a profile that is a list": (
        change("smoke: {meta.iterations: 200, evaluation.tasks: 60, seeds: [1]}", "smoke: [meta.iterations]"),
        2,
        r"profiles.smoke: \['meta.iterations'\] is not allowed; expected a mapping",
    ),
    "a profile that is a text": (change("smoke: {meta.iterations: 200", "smoke: x\n  cpu: {meta"), 2, r"profiles"),
    "a profile's key that is a number": (
        change("{meta.iterations: 200", "{7: 200"),
        2,
        r"profiles.smoke: .* is not allo",
    ),
    "a module that is missing": (change("method: maml", "imports: [no_such]\nmethod: maml"), 2, r"imports: 'no_such'"),
    # The command line.
    "--set without a value": (options("--set", "inner.step_size"), 2, r"--set inner.step_size: expected KEY=VALUE"),
    "--set of an unknown key": (options("--set", "inner.steps=1"), 2, r"inner: unknown key 'steps'; allowed are"),
    "--set of an unknown section": (options("--set", "outer.x=1"), 2, r"--set: outer.x: there is no section 'outer'"),
    "--set twice": (options("--set", "seeds=[1]", "seeds=[2]"), 2, r"--set seeds: given twice"),
    "--set of NaN": (options("--set", "inner.step_size=.nan"), 2, r"inner.step_size: nan is not allowed"),
    "--set of broken YAML": (options("--set", "seeds=[1"), 2, r"--set seeds: not valid YAML"),
    "a profile that is not known": (options("--profile", "half"), 2, r"invalid choice: 'half'"),
    "resume and restart": (options("--resume", "--restart"), 2, r"not allowed with argument"),
    "runs are a file": (options("--runs", SPECS / f"{MAML}.yaml"), 2, r"--runs .*: cannot be written to \(File exists"),
    "runs below a file": (options("--runs", SPECS / f"{MAML}.yaml/x"), 2, r"--runs .*cannot be written to \(Not a dir"),
    "results are a file": (
        options("--runs", "{tmp}/runs", "--results", SPECS / f"{MAML}.yaml"),
        2,
        r"--results .*: cannot be written to \(File exists",
    ),
    "weights below a file": (
        options("--runs", "{tmp}/runs", "--results", "{tmp}/results", "--weights", SPECS / f"{MAML}.yaml/x"),
        2,
        r"--weights .*: cannot be written to \(Not a directory",
    ),
    "runs that cannot be written": (options("--runs", "/proc/runs"), 2, r"--runs /proc/runs: cannot be written to"),
    "a replay of nothing": (
        options("--runs", "{tmp}", command="replay"),
        2,
        r"no training of sinusoid_maml was started",
    ),
    "no training to test": (options("--runs", "{tmp}", command="evaluate"), 2, r"no training of sinusoid_maml was"),
    # Weights.
    "weights that are missing": (weights(lambda path, arrays: None), 2, r"weights.npz: no weights can be read"),
    "weights as text": (weights(lambda path, arrays: path.write_text("1 2 3")), 2, r"weights.npz: no weights can be"),
    "weights of 0 bytes": (weights(lambda path, arrays: path.write_bytes(b"")), 2, r"weights.npz: no weights can be"),
    "a single array": (
        weights(lambda path, arrays: path.write_bytes(npy(arrays["dense_1/kernel"]))),
        2,
        r"weights.npz: no weights can be read",
    ),
    "weights in float64": (
        weights(lambda path, arrays: np.savez(path, **{k: a.astype(np.float64) for k, a in arrays.items()})),
        2,
        r"dense_1/kernel is float64; expected float32",
    ),
    "weights that are texts": (
        weights(lambda path, arrays: np.savez(path, **{k: a.astype(str) for k, a in arrays.items()})),
        2,
        r"dense_1/kernel is <U\d+; expected float32",
    ),
    "weights that are NaN": (
        weights(lambda path, arrays: np.savez(path, **{k: a * np.nan for k, a in arrays.items()})),
        2,
        r"dense_1/kernel has values that are not finite",
    ),
    "weights of one name twice": (weights(given_twice), 2, r"weights.npz: .*the array 'dense_1/bias' is given twice"),
    "weights that are larger than the memory": (weights(boundless), 2, r"weights.npz: no weights can be read from it"),
    "weights of another model": (
        weights(lambda path, arrays: np.savez(path, **{k: a[:1] for k, a in arrays.items()})),
        2,
        r"weights of another model",
    ),
    # Data.
    "no data": (
        options("--profile", "smoke", "--data", "{tmp}", spec=CONV),
        3,
        r"omniglot.json is missing: `make data`",
    ),
    "data overwritten in the middle": (prepared(overwritten), 3, r"omniglot.npy does not have the checksum in its man"),
    "data cut short": (prepared(lambda f: cut(f / "omniglot.npy")), 3, r"omniglot.npy or its manifest is damaged"),
    "a manifest of another array": (prepared(manifest(sha256="0" * 64)), 3, r"does not have the checksum in its manif"),
    "a manifest of another shape": (prepared(manifest(shape=[1, 2])), 3, r"its manifest says uint8 \[1, 2\]"),
    "a manifest that is no JSON": (prepared(lambda f: (f / "omniglot.json").write_text("{")), 3, r"is damaged"),
    "too many ways": (
        lambda folder: [*prepared(lambda f: None)(folder), "--set", "tasks.ways=2000", "--runs", folder],
        2,
        r"2000 ways of 1 \+ \d+ images cannot be drawn from",
    ),
    "too many shots": (
        lambda folder: [*prepared(lambda f: None)(folder), "--set", "tasks.shots=30", "--runs", folder],
        2,
        r"5 ways of 30 \+ \d+ images cannot be drawn from \d+ classes of 20 images",
    ),
    # Results and the gate.
    "no results": (lambda folder: ["compare", "--published", folder], 1, r"the published results judge 0 targets"),
    "a folder of results that is missing": (
        lambda folder: ["compare", "--published", folder / "none"],
        2,
        r"there is no such folder of results",
    ),
    "a forged mean": (
        result(lambda r: put(r, "targets", "sinusoid_5shot_oracle_curve", "mean", value=0.0)),
        2,
        r"targets.sinusoid_5shot_oracle_curve.mean: 0.0 is not the mean of per_seed",
    ),
    "a forged target with its seeds": (
        result(lambda r: r["targets"]["sinusoid_5shot_oracle_curve"].update(mean=0.0, per_seed=[0.0, 0.0, 0.0])),
        2,
        r"sinusoid_oracle.json: targets.sinusoid_5shot_oracle_curve",
    ),
    "an error of -1e300": (
        result(lambda r: r["curves"]["5_shot"].update(mean=[-1e300] * 11, per_seed=[[-1e300] * 11] * 3)),
        2,
        r"sinusoid_oracle.json: curves.5_shot",
    ),
    "no tasks": (
        result(lambda r: put(r, "targets", "sinusoid_5shot_oracle_curve", "n_tasks", value=-600)),
        2,
        r"n_tasks: -600 is not allowed",
    ),
    "fewer tasks than the spec tests": (
        result(lambda r: put(r, "targets", "sinusoid_5shot_oracle_curve", "n_tasks", value=6)),
        2,
        r"n_tasks: 6 is not allowed; the spec sinusoid_oracle tests 600 tasks",
    ),
    "a negative interval": (
        result(lambda r: put(r, "targets", "sinusoid_5shot_oracle_curve", "ci95", value=-1.0)),
        2,
        r"ci95: -1.0 is not allowed",
    ),
    "a result with the same seed twice": (result(lambda r: put(r, "seeds", value=[1, 1, 1])), 2, r"seeds: \[1, 1, 1\]"),
    "a curve that is missing": (
        result(lambda r: put(r, "curves", value={})),
        2,
        r"sinusoid_oracle.json: targets.sinusoid_5shot_oracle_curve",
    ),
    "a result cut short": (result(lambda r: json.dumps(r)[:500]), 2, r"sinusoid_oracle.json: not valid JSON"),
    "a result's key twice": (
        result(lambda r: json.dumps(r)[:-1] + ', "targets": {}}'),
        2,
        r"sinusoid_oracle.json: not valid JSON: the key 'targets' is given twice",
    ),
    "a result that is nested too deeply": (result(lambda r: "[" * 100_000), 2, r"JSON: it is nested too deeply"),
    "a negative time": (result(lambda r: put(r, "wall_seconds", value=-5.0)), 2, r"wall_seconds: -5.0 is not allowed"),
    "a result of other seeds": (
        result(lambda r: put(r, "seeds", value=[7, 8, 9])),
        2,
        r"seeds: \[7, 8, 9\] is not all",
    ),
    "a result with NaN": (result(lambda r: '{"spec": NaN}'), 2, r"NaN is not a number"),
    "a result that is not UTF-8": (result(lambda r: b"\xff"), 2, r"sinusoid_oracle.json: not valid JSON"),
    "a target twice": (
        listing("--targets", "targets.yaml", "claims:", "claims:\nclaims:"),
        2,
        r"(?s)targets.yaml: not valid YAML: .*'claims' is given twice",
    ),
    "a negative tolerance": (
        listing("--targets", "targets.yaml", "value: 2.6", "value: -2.6"),
        2,
        r"value: -2.6 is not",
    ),
    "a negative number of tasks": (
        listing("--targets", "targets.yaml", "n_tasks: 600", "n_tasks: -600"),
        2,
        r"setting.n_tasks: -600 is not allowed",
    ),
    "a negative interval of the paper": (
        listing("--targets", "targets.yaml", "paper_ci95: 1.84", "paper_ci95: -1.84"),
        2,
        r"paper_ci95: -1.84 is not allowed",
    ),
    "a known failure of nothing": (
        listing("--known-failures", "known_failures.yaml", "id: order_table2", "id: order_table9"),
        2,
        r"order_table9: targets.yaml has no such id",
    ),
    "a gate below 0": (listing("--gate", "gate.yaml", "claims: ", "claims: -"), 2, r"expected whole numbers from 0"),
}


def compared():
    with cli.exit_codes():
        sys.exit(compare.main())


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def test_there_are_a_hundred():
    assert len(CASES) >= 100


@pytest.mark.parametrize("name", CASES)
def test_a_bad_input_ends_with_its_code_and_a_message(name, tmp_path, capsys, monkeypatch):
    make, code, message = CASES[name]
    command, *arguments = map(str, make(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("maml_tf.runtime.configure_runtime", lambda: None)  # threads are set once per process
    monkeypatch.setattr(sys, "argv", ["compare", *arguments, "--runs", str(tmp_path / "runs")])
    run = compared if command == "compare" else lambda: cli.main([command, *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    shown = capsys.readouterr()
    assert ended.value.code == code, shown.err
    assert re.search(message, shown.err + shown.out), shown.err + shown.out[-2000:]
    assert "Traceback" not in shown.err
