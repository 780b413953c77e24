"""Bad inputs: each ends with the documented exit code and one line that names file or option, key and value.

The commands run in this process, as the shell would start them.
"""

import numpy as np
import pytest
from bad_inputs import (
    MAML,
    assert_refused,
    bombs,
    boundless,
    change,
    content,
    cut,
    given_twice,
    manifest,
    npy,
    options,
    overwritten,
    prepared,
    weights,
)
from helpers import SPECS

from maml_tf import cli

CONV, POINT = "omniglot_5way_1shot_conv", "point_navigation_maml"
TABLE2, CONTEXT = "sinusoid_multitask_l2_reg", "omniglot_5way_1shot_context_vector"
PRETRAINED, BASELINES = "sinusoid_pretrained", "miniimagenet_5way_baselines"

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
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_input_ends_with_its_code_and_a_message(name, tmp_path, capsys, monkeypatch):
    make, code, message = CASES[name]
    command, *arguments = map(str, make(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("maml_tf.runtime.configure_runtime", lambda: None)  # threads are set once per process
    assert_refused(lambda: cli.main([command, *arguments]), code, message, capsys)
