"""The command line: exit codes, messages, and that committed weights can be tested with it."""

import argparse
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
from helpers import changed_copy

from maml_tf.cli import command_line, exit_codes, main, print_curves, spec_from
from maml_tf.experiments.results import Curve
from maml_tf.experiments.spec import read_spec

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPECS = ROOT / "reproduce" / "specs"


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "maml_tf", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )


def test_exit_codes_and_messages(tmp_path, monkeypatch, capsys):
    (tmp_path / "wrong.yaml").write_text((SPECS / "sinusoid_maml.yaml").read_text().replace("inner:", "iner:"))
    folders = ["--runs", tmp_path / "runs", "--results", tmp_path, "--data", tmp_path]
    nonconv, maml = SPECS / "omniglot_5way_1shot_nonconv.yaml", SPECS / "sinusoid_maml.yaml"
    monkeypatch.setattr("maml_tf.runtime.configure_runtime", lambda: None)  # threads are set once per process
    for arguments, code, message in (
        (["train", tmp_path / "wrong.yaml", *folders], 2, "wrong.yaml: unknown key 'iner'; allowed are"),
        (["train", nonconv, *folders, "--profile", "smoke"], 3, "omniglot.json is missing: `make data` prepares it"),
        (["train", maml, *folders, "--address", "host:6379"], 2, "--address: not without --workers"),
        (["train", maml, *folders, "--workers", 2, "--address", "host"], 2, "address host: expected HOST:PORT"),
        (["evaluate", maml, "--weights", tmp_path / "none.npz"], 2, "none.npz: no weights can be read"),
        (["evaluate", maml, *folders], 2, "seed_1: no training of sinusoid_maml was started there"),
        (["evaluate", maml, "--snapshots", tmp_path], 2, "sinusoid_maml: no training of the seeds any"),
        (
            ["export-training-loop", SPECS / "sinusoid_multitask_l2_reg.yaml", "--out", tmp_path],
            2,
            "sinusoid_multitask_l2_reg: sinusoid by multitask has no compiled training loop to export",
        ),
        (["train"], 2, "the following arguments are required: SPEC.yaml"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        printed = capsys.readouterr().err
        assert (ended.value.code, message in printed) == (code, True), printed
        assert "Traceback" not in printed


@pytest.mark.parametrize("error", [MemoryError("4 TiB"), tf.errors.ResourceExhaustedError(None, None, "4 TiB\nat 0x0")])
def test_too_little_memory_is_a_message(error, capsys):
    with pytest.raises(SystemExit) as ended, exit_codes():
        raise error
    assert ended.value.code == 2
    assert capsys.readouterr().err == ("error: not enough memory, try smaller batches or a smaller network: 4 TiB\n")


def test_an_error_ends_the_process_with_its_exit_code_and_message(tmp_path):
    path = changed_copy(SPECS / "sinusoid_maml.yaml", tmp_path, "inner:", "iner:")
    done = run("train", path, "--runs", tmp_path, "--results", tmp_path, "--data", tmp_path)
    assert done.returncode == 2
    assert "unknown key 'iner'" in done.stderr
    assert "Traceback" not in done.stderr


def test_committed_weights_give_the_committed_numbers(eagerly):
    import numpy as np

    from maml_tf.experiments.results import read_result
    from maml_tf.experiments.run import build_experiment
    from maml_tf.experiments.spec import read_spec
    from maml_tf.training.adam import TrainingState
    from maml_tf.training.checkpoint import Checkpoint
    from maml_tf.training.weights import read_weights

    spec = read_spec(SPECS / "sinusoid_oracle.yaml")
    result = read_result(ROOT / "reproduce" / "results" / "sinusoid_oracle.json")
    seed = result.seeds[0]
    experiment = build_experiment(spec, seed, None)
    weights = read_weights(ROOT / f"reproduce/checkpoints/sinusoid_oracle/seed_{seed}.npz", experiment.model)
    scores, _ = experiment.evaluate(Checkpoint(TrainingState.start(weights)))
    for name in ("5_shot", "20_shot"):
        np.testing.assert_allclose(scores[name].mean(axis=0), result.curves[name].per_seed[0], rtol=1e-3)


def test_the_module_runs_as_a_command():
    shown = run("--help")
    assert shown.returncode == 0
    assert "train" in shown.stdout


def test_another_precision_is_a_variant_that_no_target_judges():
    path = SPECS / "omniglot_5way_1shot_conv.yaml"
    read = argparse.Namespace(profile="paper", seeds=None, precision=None)
    spec = spec_from(path, read)
    assert spec_from(path, argparse.Namespace(**vars(read) | {"precision": "float32"})) == spec
    variant = spec_from(path, argparse.Namespace(**vars(read) | {"precision": "bfloat16"}))
    assert (variant.name, variant.model.precision) == ("omniglot_5way_1shot_conv_bfloat16", "bfloat16")
    assert spec.targets
    assert not variant.targets
    assert variant.hash != spec.hash


def test_the_command_in_a_result_names_no_folder_of_one_machine(monkeypatch):
    inside, outside = str(ROOT / "data" / "prepared"), "/somewhere/else/runs"
    arguments = ["--seeds", "1", "--data", inside, "--runs", outside, "--checkpoint", "../theirs/model.npz"]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [str(ROOT / "reproduce" / "fig4.py"), *arguments])
    shown = "--seeds 1 --data data/prepared --runs runs --checkpoint model.npz"
    assert command_line() == f"python -m reproduce.fig4 {shown}"
    assert command_line("-m", "some.module") == f"python -m some.module {shown}"


def test_printed_curves_name_the_set_of_every_column(capsys):
    curve = Curve((0, 1, 2), (20.0, 99.0, 99.5), (1.0, 0.4, 0.3), ((20.0, 99.0, 99.5),))
    for name, expected in (
        ("omniglot_5way_1shot_conv", "support set before any step: 20 ± 1  query set after gradient step 1: 99 ± 0.4"),
        ("sinusoid_maml", "support set before any step: 20 ± 1  query set after gradient step 1: 99 ± 0.4"),
        ("point_navigation_maml", "before adaptation: 20 ± 1  after gradient step 1: 99 ± 0.4"),
        ("miniimagenet_5way_baselines", "query set: 20 ± 1  query set after update 1: 99 ± 0.4"),
    ):
        columns = read_spec(SPECS / f"{name}.yaml").columns
        print_curves(name, {"1_shot": curve}, columns)
        assert capsys.readouterr().out == f"{name} 1_shot: {expected}  2: 99.5 ± 0.3\n"
