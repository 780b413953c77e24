"""Bad inputs by kind: a function returns a `make(folder)` that writes one and returns the words of its command."""

import io
import json
import re
import shutil
import warnings
import zipfile

import numpy as np
import pytest
from helpers import REPRODUCE, SPECS
from synthetic_data import write_omniglot

MAML = "sinusoid_maml"


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
    """The published results, of which one is changed by `change_it(content)`, or written by it."""

    def make(folder):
        shutil.copytree(REPRODUCE / "results", folder / "results", ignore=shutil.ignore_patterns("videos", "figures"))
        path = folder / "results" / f"{name}.json"
        mapping = json.loads(path.read_text(encoding="utf-8"))
        changed = change_it(mapping)
        text = json.dumps(mapping) if changed is None else changed
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ["--published", folder / "results"]

    return make


def listing(option, name, old, new):
    """A comparison with a changed file of targets, known failures or the gate."""

    def make(folder):
        text = (REPRODUCE / name).read_text(encoding="utf-8")
        assert old in text, old
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        return [option, folder / name]

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
    """Other entries in the manifest of the prepared Omniglot."""

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
    """Sets the value at nested keys."""
    *inside, last = keys
    for key in inside:
        mapping = mapping[key]
    mapping[last] = value


def bombs(levels=9, width=10):
    """References to references: a few lines that stand for 10^9 values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels + 1)]
    return "\n".join(lines)


def npy(array):
    """The content of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def cut(path):
    """Leaves the first 1000 bytes of a file."""
    path.write_bytes(path.read_bytes()[:1000])


def assert_refused(run, code, message, capsys):
    """Asserts that a function of no arguments exits with a code and prints a message, a regular expression."""
    with pytest.raises(SystemExit) as ended:
        run()
    shown = capsys.readouterr()
    assert ended.value.code == code, shown.err
    assert re.search(message, shown.err + shown.out), shown.err + shown.out[-2000:]
    assert "Traceback" not in shown.err
