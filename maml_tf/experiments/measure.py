"""Measuring a spec once: what was trained and tested by this code already is not done again."""

from maml_tf.errors import UsageError
from maml_tf.experiments.results import longer_result, provenance, read_result, result_path, write_result
from maml_tf.experiments.run import run_directory_of, run_experiment
from maml_tf.training.progress import announce


def measure(spec, *, runs_folder, data_folder, results_folder, command, weights_folder=None, restart=False, **training):
    """Trains and tests a spec unless that is done, writes its result file and weights.

    What is done is known from the runs folder: the finished trainings and, beside them, the result of testing them,
    which holds as long as the code is the same. Numbers of the `smoke` profile mean nothing: they stay in the runs
    folder.

    Args:
        spec: an ExperimentSpec.
        runs_folder, data_folder, command, weights_folder: see `run_experiment`; weights are kept of the paper profile.
        results_folder: where the result file goes; a partial result there with more iterations stays in its place.
        restart: train anew, whatever lies in the runs folder.
        **training: resume, tensorboard (see `maml_tf.experiments.run.train`).

    Returns:
        The Result.
    """
    measured = measured_folder(spec, runs_folder)
    known = result_path(spec.name, spec.profile, measured)
    result = None if restart else _measured_by_this_code(known)
    if result is None:
        result = run_experiment(
            spec,
            runs_folder=runs_folder,
            data_folder=data_folder,
            command=command,
            weights_folder=weights_folder if spec.profile == "paper" else None,
            restart=restart,
            **training,
        )
        write_result(result, measured)
    if spec.profile != "smoke":
        longer = longer_result(result, results_folder)
        if longer is None:
            write_result(result, results_folder)
        else:
            announce(f"{longer} stays, it has more iterations than {result.iterations_done}; remove it to replace it")
    return result


def measured_folder(spec, runs_folder):
    """Where the result of testing a spec's finished trainings lies, beside them."""
    return run_directory_of(spec, spec.seeds[0], runs_folder).path.parent / f"measured-{spec.full_hash}"


def _measured_by_this_code(path):
    """The result that this very commit measured, or None."""
    commit = provenance()["git_commit"]
    if not path.exists() or commit.endswith("+dirty"):
        return None
    try:
        result = read_result(path)
    except UsageError:  # written by a version with other fields
        return None
    return result if result.git_commit == commit else None
