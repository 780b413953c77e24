"""Kills trainings of every kind and resumes them; each must end with the bits of one that ran through.

    python tests/tools/kills.py                        40 kills over all kinds (`make kills`)
    python tests/tools/kills.py sinusoid_maml --kills 2

A process kills itself by SIGKILL just before, in the middle of or just after it has written a file, or after a random
time. Libraries are imported once; every training runs in a forked process, as TensorFlow graphs, because XLA compiles
for longer and has no part in what is saved. `--eagerly` runs it operation by operation: to trace a small training takes
longer.
"""

import argparse
import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "tools")]

# Changes of the smoke profile by spec, so that there are files to be killed at.
CASES = {
    "sinusoid_maml": {"meta.iterations": 400},
    "sinusoid_pretrained": {"meta.iterations": 400},
    "sinusoid_multitask_l2_reg": {"multitask.regressors": 4},
    "sinusoid_multitask_reg_to_mean": {"multitask.regressors": 4},
    "omniglot_5way_1shot_nonconv": {
        "meta.iterations": 4,
        "validation.every": 2,
        "validation.tasks": 2,
        "evaluation.tasks": 2,
        "model.hidden": [8, 4, 4, 4],
    },
    "omniglot_5way_1shot_conv": {"meta.iterations": 4, "validation.every": 2},
    "omniglot_5way_1shot_context_vector": {"meta.iterations": 4, "validation.every": 2},
    "miniimagenet_5way_1shot_maml": {"meta.iterations": 4, "validation.every": 2, "meta.batch_size": 1},
    "miniimagenet_5way_baselines": {"meta.iterations": 4, "validation.every": 2},
    "point_navigation_maml": {"meta.iterations": 3, "meta.batch_size": 2},
    "point_navigation_pretrained": {"meta.iterations": 6},
    "half_cheetah_direction_maml": {"meta.iterations": 4},
    "ant_direction_maml": {"meta.iterations": 4},
}
MOMENTS = ("before", "middle", "after", "random")
ATTEMPTS = 5  # for each kill


@dataclasses.dataclass(frozen=True)
class Kill:
    """When a process kills itself: around the n-th file that it writes, or after some seconds."""

    moment: str
    file: int = 0
    seconds: float = 0.0


def arm(kill: Kill) -> None:
    """Makes this process kill itself."""
    written = 0
    replace, fsync = os.replace, os.fsync

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def replacing(*arguments):
        nonlocal written
        if kill.moment == "before" and written == kill.file:
            die()
        replace(*arguments)
        if kill.moment == "after" and written == kill.file:
            die()
        written += 1

    def syncing(descriptor):
        if kill.moment == "middle" and written == kill.file:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            die()
        fsync(descriptor)

    os.replace, os.fsync = replacing, syncing
    if kill.moment == "random":
        threading.Timer(kill.seconds, die).start()


def train(name: str, runs: pathlib.Path, data: pathlib.Path, kill: Kill | None) -> None:
    """Trains and tests a spec in this process, resuming what is there."""
    from synthetic_data import FEW_IMAGES

    from maml_tf.experiments.base import TrainingOptions
    from maml_tf.experiments.run import train as train_seed
    from maml_tf.experiments.spec import read_spec
    from maml_tf.meta.task_execution import TaskExecution
    from maml_tf.tasks import mini_imagenet
    from maml_tf.training import meta_training

    choose = TaskExecution.choose
    TaskExecution.choose = lambda *args, **options: dataclasses.replace(choose(*args, **options), jit_compile=False)
    mini_imagenet.IMAGES_PER_CLASS = FEW_IMAGES
    meta_training.SECONDS_BETWEEN_SAVES = 0
    meta_training.SAVING_SHARE = 1e9
    spec = read_spec(ROOT / "reproduce" / "specs" / f"{name}.yaml", "smoke", CASES[name])
    if kill is not None:
        arm(kill)
    done = train_seed(spec, spec.seeds[0], runs_folder=runs, data_folder=data, options=TrainingOptions(resume=True))
    if name.endswith("baselines"):  # the only test that keeps its parts
        done.experiment.evaluate(done.checkpoint, done.run_dir)


def run(*arguments) -> int:
    """The exit code of a training in a forked process; -9 if it was killed."""
    process = multiprocessing.get_context("fork").Process(target=_quietly, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def _quietly(name, runs, data, kill, log):
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    train(name, runs, data, kill)


def write_data(folder: pathlib.Path) -> None:
    """An Omniglot of dots and a mini-ImageNet of noise."""
    import numpy as np
    from synthetic_data import FEW_IMAGES, write_mini_imagenet, write_omniglot

    rng = np.random.default_rng(0)
    write_omniglot(folder, (rng.random((1623, 20, 28, 28, 1), np.float32) < 0.1).astype(np.uint8) * 255)
    from maml_tf.tasks import mini_imagenet

    mini_imagenet.IMAGES_PER_CLASS = FEW_IMAGES
    write_mini_imagenet(folder, lambda _, n: rng.integers(0, 256, (n, FEW_IMAGES, 84, 84, 3), np.uint8))


def check(name: str, kills: int, folder: pathlib.Path, data: pathlib.Path, rng: random.Random) -> tuple[int, list[str]]:
    """Kills trainings `kills` times and compares each of them, when it has ended, with one that ran through.

    A training that ends before its kill is due is followed by another one from the beginning.

    Returns:
        (kills, differences)
    """
    log, whole, killed = folder / "log", folder / name / "whole", folder / name / "killed"
    started = time.monotonic()
    if code := run(name, whole, data, None, log):
        return 0, [f"the training that nothing kills ended with exit code {code}"]
    took, hits = time.monotonic() - started, 0
    for attempt in range(ATTEMPTS * kills):
        moment = MOMENTS[attempt % len(MOMENTS)]
        kill = Kill(moment, file=rng.randrange(3), seconds=rng.uniform(0.3, 0.9) * took)
        code = run(name, killed, data, kill if hits < kills else None, log)
        if code not in (0, -signal.SIGKILL):
            return hits, [f"attempt {attempt} ({kill}): the training ended with exit code {code}"]
        hits += code != 0
        if code == 0:
            if (found := differences(whole, killed)) or hits == kills:
                return hits, found
            shutil.rmtree(killed)
    return hits, [f"only {hits} of {kills} kills hit in {ATTEMPTS * kills} attempts"]


def differences(whole: pathlib.Path, killed: pathlib.Path) -> list[str]:
    """What differs between the states that two trainings left."""
    from same_bits import compare_archives

    states = [sorted(side.rglob("state.npz")) for side in (whole, killed)]
    if not all(len(found) == 1 for found in states):
        return [f"states: {states}"]
    return compare_archives(states[0][0], states[1][0])


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 where every killed training has the same bits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("specs", nargs="*", metavar="NAME", help=f"default: {', '.join(CASES)}")
    parser.add_argument("--kills", type=int, default=40, help="in all; default: 40")
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    parser.add_argument("--eagerly", action="store_true", help="run operation by operation, without graphs")
    options = parser.parse_args(arguments)
    names = options.specs or list(CASES)
    if unknown := set(names) - set(CASES):
        parser.error(f"{', '.join(sorted(unknown))}: no such case; there are {', '.join(CASES)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Imported once, before the forks.
    import tensorflow_probability  # noqa: F401
    from helpers import operation_by_operation

    import maml_tf.experiments.few_shot
    import maml_tf.experiments.rl
    import maml_tf.experiments.run  # noqa: F401

    rng, total, failed = random.Random(options.seed), 0, False
    execution = operation_by_operation() if options.eagerly else contextlib.nullcontext()
    with execution, tempfile.TemporaryDirectory(prefix="kills_") as temporary:
        folder = pathlib.Path(temporary)
        process = multiprocessing.get_context("fork").Process(target=write_data, args=(folder / "data",))
        process.start()
        process.join()
        for index, name in enumerate(names):
            kills = (index + 1) * options.kills // len(names) - index * options.kills // len(names)
            hits, found = check(name, kills, folder, folder / "data", rng)
            total += hits
            failed |= bool(found)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            said = f"{hits} of {kills} kills hit, {'DIFFERS' if found else 'same bits'}"
            print(f"{name}: {said} ({used.ru_utime + used.ru_stime:.0f} processor seconds so far)", flush=True)
            for line in found:
                print(f"  {line}", flush=True)
            if found and (folder / "log").exists():
                print((folder / "log").read_text(errors="replace")[-2000:], flush=True)
    print(f"{total} kills")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
