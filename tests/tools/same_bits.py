"""Trains the same specs at two commits on this machine and compares everything they wrote, bit for bit.

    python tests/tools/same_bits.py OLD NEW
    python tests/tools/same_bits.py 5086411 HEAD --specs sinusoid_maml omniglot_5way_1shot_nonconv

Each commit is checked out into a temporary `git worktree`. Both are driven through the command line only,

    python -m maml_tf train reproduce/specs/SPEC.yaml --profile smoke --runs ... --results ... --weights ... --data ...

by the interpreter that runs this script. So the code between the two may move freely. These files are compared:

* `state.npz` of every training (parameters, moments, best parameters, losses, validations): the same run folders, the
  same keys, the same types, shapes and bits. Times and commits are left out.
* the result file of every spec: curves, targets, settings, iterations, checksums of data and weights. Times, commits,
  command and hardware are left out.
* the chosen weights, where they are written.

A field of a result or a file of weights that only NEW writes is a note, not a difference.

Without prepared data sets, images of noise are made up (1.4 GB in the temporary folder).

Exit code 0: no bit differs. 1: something differs, or a spec fails at one of the commits. 2: wrong usage.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPECS = "reproduce/specs"
SPECS_PER_PROCESS = 4  # TensorFlow starts once for this number of specs; their memory stays below 4 GB
# What legitimately differs between two runs of the same code.
STATE_IGNORED = {"seconds", "trained_at", "data"}
RESULT_IGNORED = {"git_commit", "packages", "hardware", "wall_seconds", "command"}
SETTINGS_IGNORED = {"training_seconds", "validation_seconds", "trained_at"}
# The prepared data sets: name, classes, images a class, image shape (data/README.md).
DATA_SETS = [
    ("omniglot", 1623, 20, (28, 28, 1)),
    ("mini_imagenet_train", 64, 600, (84, 84, 3)),
    ("mini_imagenet_validation", 16, 600, (84, 84, 3)),
    ("mini_imagenet_test", 20, 600, (84, 84, 3)),
]


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="the commit to compare with")
    parser.add_argument("new", help="the commit to check")
    parser.add_argument("--specs", nargs="+", metavar="NAME", help="names of specs; all specs of OLD by default")
    parser.add_argument("--profile", default="smoke", help="smoke (default); cpu and paper train for hours")
    parser.add_argument("--data", type=pathlib.Path, help="prepared data sets; default: data/prepared, or noise")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="keep what both commits wrote in FOLDER")
    options = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        temporary = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="same_bits_")))
        outputs = options.keep.resolve() if options.keep else temporary / "written"
        if outputs.exists() and any(outputs.iterdir()):
            parser.error(f"--keep: {outputs} is not empty")
        try:
            trees = {
                side: stack.enter_context(worktree(commit, temporary / side))
                for side, commit in (("old", options.old), ("new", options.new))
            }
        except subprocess.CalledProcessError as error:
            parser.error(error.stderr.strip())
        known = sorted(path.stem for path in (trees["old"] / SPECS).glob("*.yaml"))
        if unknown := sorted(set(options.specs or ()) - set(known)):
            parser.error(f"--specs: {', '.join(unknown)}: no such spec at {options.old}; it has {', '.join(known)}")
        names = options.specs or known
        data = data_folder(options.data, temporary)
        print(f"old {options.old}, new {options.new}: {len(names)} specs, profile {options.profile}, data {data}")
        differing, failed = 0, False
        for start in range(0, len(names), SPECS_PER_PROCESS):
            group = names[start : start + SPECS_PER_PROCESS]
            for side, tree in trees.items():
                if problem := train(tree, group, options.profile, outputs / side, data):
                    failed = True
                    print(f"{side}: {problem}", flush=True)
            for name in group:
                differences, notes = compare(outputs / "old", outputs / "new", name)
                differing += bool(differences)
                print(f"{name}: {'DIFFERS' if differences else 'same bits'}", flush=True)
                for line in (*differences, *(f"note: {note}" for note in notes)):
                    print(f"  {line}", flush=True)
    print(f"{len(names) - differing} of {len(names)} specs have the same bits")
    return 1 if differing or failed else 0


@contextlib.contextmanager
def worktree(commit: str, path: pathlib.Path):
    """A commit checked out at `path`, removed at the end."""

    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)

    git("worktree", "add", "--detach", str(path), commit)
    try:
        yield path
    finally:
        git("worktree", "remove", "--force", str(path))


def data_folder(asked: pathlib.Path | None, temporary: pathlib.Path) -> pathlib.Path:
    """The prepared data sets: those asked for, else those of this checkout, else noise of the same shapes."""
    if asked is not None:
        return asked.resolve()
    prepared = ROOT / "data" / "prepared"
    if all((prepared / f"{name}.json").exists() for name, *_ in DATA_SETS):
        return prepared.resolve()
    folder = temporary / "data"
    folder.mkdir()
    for name, classes, members, shape in DATA_SETS:
        write_noise(folder, name, (classes, members, *shape))
    return folder


def write_noise(folder: pathlib.Path, name: str, shape: tuple[int, ...]) -> None:
    """Writes a data set of random bytes with its manifest, class by class, the same on every machine."""
    array_file = folder / f"{name}.npy"
    array = np.lib.format.open_memmap(array_file, "w+", np.uint8, shape)
    for index in range(shape[0]):
        array[index] = np.random.default_rng(index).integers(0, 256, shape[1:], np.uint8)
    array.flush()
    with open(array_file, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    names = [f"class{index:04d}" for index in range(shape[0])]
    manifest = {"name": name, "origin": "made up", "sha256": digest, "shape": shape, "class_names": names}
    (folder / f"{name}.json").write_text(json.dumps(manifest), encoding="utf-8")


def train(tree: pathlib.Path, names: list[str], profile: str, output: pathlib.Path, data: pathlib.Path) -> str | None:
    """Trains and tests specs in a worktree, in one process; None, or what went wrong."""
    output.mkdir(parents=True, exist_ok=True)
    specs = [f"{SPECS}/{name}.yaml" for name in names]
    folders = {"--runs": output / "runs", "--results": output / "results", "--weights": output / "weights"}
    options = [str(text) for pair in (folders | {"--data": data}).items() for text in pair]
    # The worktree comes before any installed copy of the package.
    done = subprocess.run(
        [sys.executable, "-m", "maml_tf", "train", *specs, "--profile", profile, *options],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    with open(output / "log.txt", "a", encoding="utf-8") as log:
        log.write(done.stdout + done.stderr)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        return f"training {', '.join(names)} ended with exit code {done.returncode}: {last}"
    return None


def compare(old: pathlib.Path, new: pathlib.Path, name: str) -> tuple[list[str], list[str]]:
    """Compares what a spec wrote at two commits; (differences, notes), one line each.

    Args:
        old, new: folders that hold `runs`, `results` and `weights`.
        name: of the spec; the folders of its trainings and weights have this name.
    """
    differences, notes = [], []
    was, now = (
        {str(path.relative_to(side)): path for path in side.rglob("*.npz") if name in path.relative_to(side).parts}
        for side in (old, new)
    )
    for path in sorted(was.keys() | now.keys()):
        if path not in now:
            differences.append(f"{path}: not written by new")
        elif path not in was:  # a state at another path is another run folder, other files are additions
            (differences if path.endswith("state.npz") else notes).append(f"{path}: not written by old")
        else:
            differences += [f"{path}: {line}" for line in compare_archives(was[path], now[path])]
    # A result is known by its spec: where it is written may change.
    was, now = _results(old, name), _results(new, name)
    differences += [f"result: not written by {side}" for side, found in (("old", was), ("new", now)) if not found]
    for one in was:
        for other in now:
            found = _compare_values(one, other, "")
            differences += [f"result: {line}" for line, only_new in found if not only_new]
            notes += [f"result: {line}" for line, only_new in found if only_new]
    return list(dict.fromkeys(differences)), list(dict.fromkeys(notes))


def compare_archives(old: pathlib.Path, new: pathlib.Path) -> list[str]:
    """The differences of two .npz files, one line each; NaN equals NaN of the same bits."""
    lines = []
    with np.load(old) as was, np.load(new) as now:
        for key in sorted((set(was.files) | set(now.files)) - STATE_IGNORED):
            if key not in now.files or key not in was.files:
                lines.append(f"{key}: not written by {'new' if key in was.files else 'old'}")
                continue
            a, b = was[key], now[key]
            if a.dtype != b.dtype or a.shape != b.shape:
                lines.append(f"{key}: {a.dtype} {list(a.shape)} became {b.dtype} {list(b.shape)}")
            elif a.tobytes() != b.tobytes():
                lines.append(f"{key}: {_how_different(a, b)}")
    return lines


def _how_different(a, b):
    """Of two arrays of the same type and shape: how many entries differ, and by how much."""
    x, y = (np.frombuffer(array.tobytes(), np.uint8).reshape(array.size, array.itemsize) for array in (a, b))
    differ = (x != y).any(axis=1)
    text = f"{differ.sum()} of {differ.size} entries differ"
    if np.issubdtype(a.dtype, np.number):
        with np.errstate(invalid="ignore"):
            gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
        text += f", by {np.nanmax(gap, initial=0.0):.3g} at most; the largest entry is {np.nanmax(np.abs(a)):.3g}"
    return text


def _results(folder, name):
    """The contents of a spec's result files, without what may differ."""
    contents = []
    for path in sorted(folder.rglob(f"{name}.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        content = {key: value for key, value in content.items() if key not in RESULT_IGNORED}
        content["settings"] = {
            seed: {key: value for key, value in settings.items() if key not in SETTINGS_IGNORED}
            for seed, settings in content["settings"].items()
        }
        contents.append(content)
    return contents


def _compare_values(old, new, where):
    """[(line, whether only `new` has it)]: the differences of two JSON values."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in sorted(old.keys() | new.keys()):
            inside = f"{where}.{key}" if where else key
            if key not in new:
                lines.append((f"{inside}: not written by new", False))
            elif key not in old:
                lines.append((f"{inside}: only written by new", True))
            else:
                lines += _compare_values(old[key], new[key], inside)
        return lines
    # JSON holds the shortest text that gives back a float64: equal texts are equal bits.
    return [] if json.dumps(old) == json.dumps(new) else [(f"{where}: {_short(old)} became {_short(new)}", False)]


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the worktrees are removed then, too
    sys.exit(main())
