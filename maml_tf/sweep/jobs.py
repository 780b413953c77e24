"""The jobs of a sweep: one for each spec and seed, and one for each spec that tests its trained seeds."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence

from maml_tf.errors import UsageError
from maml_tf.experiments.spec import ExperimentSpec


@dataclasses.dataclass(frozen=True)
class Job:
    """One command of a sweep.

    Attributes:
        name: names the job everywhere: `<spec>-<profile>-<hash of the spec>-seed_<n>`, or `...-test`.
        label: names it for the user.
        command: its words.
        folder: the working directory of the command.
        log: the file that its output is appended to.
        run_folder: the run directory of its training; None for a test.
        iterations: of its training.
        needs: the names of the jobs that must be finished before.
    """

    name: str
    label: str
    command: tuple[str, ...]
    folder: pathlib.Path
    log: pathlib.Path
    run_folder: pathlib.Path | None = None
    iterations: int = 0
    needs: tuple[str, ...] = ()


def jobs_of(
    specs: Sequence[tuple[pathlib.Path, ExperimentSpec]],
    *,
    options: Sequence[str],
    runs_folder: pathlib.Path,
) -> list[Job]:
    """The jobs of some specs: first every training, then every test.

    A test is the command that trains and tests all seeds of its spec. It finds the trainings done, so it only tests
    and writes the result file. A spec that trains nothing has the test alone.

    Args:
        specs: the file of each spec, and the spec that it is read as. The same spec may be given twice.
        options: the options of `maml_tf train` that choose profile, values and folders.
        runs_folder: the folder of all run directories. Results go to `results` and weights to `checkpoints` in it.

    Raises:
        UsageError: two different specs have one name, so one result file.
    """
    chosen: dict[str, tuple[pathlib.Path, ExperimentSpec]] = {}
    for path, spec in specs:
        other_path, other = chosen.setdefault(spec.name, (path, spec))
        if other.full_hash != spec.full_hash:
            raise UsageError(f"{path}: another spec has the name {spec.name!r}: {other_path}; expected different names")
    trainings, tests = [], []
    for path, spec in chosen.values():
        own = _trainings(path, spec, options, runs_folder) if spec.iterations else []
        trainings += own
        results = ("--results", str(runs_folder / "results"), "--weights", str(runs_folder / "checkpoints"))
        where = _absolute(runs_folder / spec.run_folder(0)).parent
        tests.append(
            Job(
                name=f"{spec.name}-{where.name}-test",
                label=f"{spec.name} ({spec.profile}), test",
                command=_train(path, spec.seeds, [*options, *results]),
                folder=pathlib.Path.cwd(),
                log=where / "test.log",
                needs=tuple(job.name for job in own),
            )
        )
    return [*trainings, *tests]


def _trainings(
    path: pathlib.Path, spec: ExperimentSpec, options: Sequence[str], runs_folder: pathlib.Path
) -> list[Job]:
    jobs = []
    for seed in spec.seeds:
        run_folder = _absolute(runs_folder / spec.run_folder(seed))
        jobs.append(
            Job(
                name="-".join(spec.run_folder(seed).parts),
                label=f"{spec.name} ({spec.profile}), seed {seed}",
                command=_train(path, [seed], ["--train-only", *options]),
                folder=pathlib.Path.cwd(),
                log=run_folder.with_suffix(".log"),
                run_folder=run_folder,
                iterations=spec.iterations,
            )
        )
    return jobs


def _train(path: pathlib.Path, seeds: Sequence[int], options: Sequence[str]) -> tuple[str, ...]:
    program = (sys.executable, "-m", "maml_tf", "train", str(path))
    return (*program, "--seeds", *map(str, seeds), "--resume", *options)


def _absolute(path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(os.path.abspath(path))
