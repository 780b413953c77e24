"""Real runs on a Ray cluster of two nodes on this machine, one of which is lost: `make ray-cluster`.

training: one Omniglot training over 1, 2 and 3 actors, and over 3 of which one is killed.
sweep: six sinusoid trainings by `maml_tf sweep --launcher ray`; one node is killed while two jobs run.

Both are compared, bit for bit, with trainings that run alone. Needs `pip install 'maml_tf[ray]'`, and for the training
Omniglot (`make data`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = ("--profile", "smoke", "--set")
SINUSOID = ("meta.iterations=20000",)
OMNIGLOT = ("meta.iterations=30", "meta.batch_size=6", "model.filters=16")


class Cluster:
    """A head node and a second one, each a process of `ray start`.

    Args:
        second_cores: cores that the second node offers; the head offers one.
    """

    def __init__(self, second_cores: int = 1):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.head = self._start("--head", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=1")
        self._wait(port)
        self.second = self._start(f"--address={self.address}", f"--num-cpus={second_cores}")

    def close(self) -> None:
        """Ends both nodes."""
        for node in (self.second, self.head):
            kill_tree(node.pid)

    def _start(self, *options: str) -> subprocess.Popen:
        ray = pathlib.Path(sys.executable).with_name("ray")
        small = ("--object-store-memory=100000000", "--include-dashboard=false", "--disable-usage-stats")
        small = small if "--head" in options else small[:1]
        command = [ray, "start", "--block", *options, *small]
        log = open(ROOT / "runs" / "ray_cluster.log", "ab")  # noqa: SIM115 - the process keeps it
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return time.sleep(3)
            time.sleep(0.5)
        raise SystemExit("the head node does not answer")


def parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            found[int(status.parent.name)] = int(re.search(r"PPid:\s+(\d+)", status.read_text())[1])  # pyright: ignore
    return found


def descendants(pid: int) -> list[int]:
    """The processes below one."""
    above, found = parents(), [pid]
    for one in found:
        found += [child for child, parent in above.items() if parent == one]
    return found[1:]


def kill_tree(pid: int) -> None:
    """Kills a process and all below it at once, as when a machine is lost."""
    for one in (pid, *descendants(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def actors(cluster: Cluster) -> list[int]:
    """The processes of actors on the second node."""
    found = []
    for pid in descendants(cluster.second.pid):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Host"):
                found.append(pid)
    return found


def run(command: list[str], log: pathlib.Path) -> Iterator[str]:
    """The lines of a command's output as they come; ends with an error if the command does."""
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            file.flush()
            yield line
        if process.wait():
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: see {log}")


def states(folder: pathlib.Path) -> dict[str, dict[str, np.ndarray]]:
    """What the trainings below a folder have reached, without the times and the commits."""
    found = {}
    for path in sorted(folder.rglob("state.npz")):
        with np.load(path) as archive:
            found[str(path.parent.relative_to(folder))] = {
                name: archive[name] for name in archive.files if name not in ("seconds", "trained_at")
            }
    return found


def same(one: dict, other: dict) -> bool:
    """Whether two trainings have reached the same bits."""
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def training(folder: pathlib.Path) -> bool:
    """One Omniglot training over actors; whether all ended with the same bits."""
    spec = "reproduce/specs/omniglot_5way_1shot_conv.yaml"
    cluster, found = Cluster(second_cores=2), {}
    try:
        for name, workers in (("alone", 0), ("1 actor", 1), ("2 actors", 2), ("3 actors", 3), ("3, one killed", 3)):
            started, runs, told = time.monotonic(), folder / name.replace(" ", "_"), ""
            command = [sys.executable, "-m", "maml_tf", "train", spec, "--train-only", "--runs", str(runs), *SMALL]
            command += OMNIGLOT
            if workers:
                command += ["--workers", str(workers), "--address", cluster.address]
            for line in run(command, folder / f"{runs.name}.log"):
                if "compiled in" in line and name.endswith("killed"):
                    time.sleep(0.5)
                    os.kill(actors(cluster)[0], signal.SIGKILL)
                if "a worker was lost" in line:
                    told = ", a lost actor was replaced"
            assert bool(told) == name.endswith("killed"), "no actor was lost"
            (found[name],) = states(runs).values()
            print(f"training {name}: {time.monotonic() - started:.0f} s{told}", flush=True)
    finally:
        cluster.close()
    one = found.pop("1 actor")
    for name, state in found.items():
        print(f"training {name}: {'the same bits as' if same(one, state) else 'OTHER bits than'} 1 actor", flush=True)
    return all(same(one, state) for name, state in found.items() if name != "alone")


def sweep(folder: pathlib.Path) -> bool:
    """Six trainings by a sweep that loses a node; whether each ended with the bits of a training alone."""
    names = ("sinusoid_maml", "sinusoid_pretrained", "sinusoid_oracle")
    specs = [f"reproduce/specs/{name}.yaml" for name in names]
    command = [sys.executable, "-m", "maml_tf", "sweep", *specs, "--seeds", "1", "2", *SMALL, *SINUSOID]
    list(run([*command, "--runs", str(folder / "alone")], folder / "alone.log"))
    print("sweep alone: done", flush=True)
    cluster, lost, started = Cluster(), False, time.monotonic()
    try:
        runs = folder / "ray"
        options = ["--runs", str(runs), "--launcher", "ray", "--address", cluster.address]
        for _ in run([*command, *options], folder / "ray.log"):
            trained = [path for path in runs.rglob("state.npz") if (path.parent / ".lock").exists()]
            if not lost and len(trained) > 1:  # each of the two nodes is in the middle of a training
                kill_tree(cluster.second.pid)
                lost = True
                print("sweep by Ray: the second node is killed", flush=True)
    finally:
        cluster.close()
    alone, by_ray = states(folder / "alone"), states(folder / "ray")
    print(f"sweep by Ray: {len(by_ray)} trainings done in {time.monotonic() - started:.0f} s", flush=True)
    equal = [name for name in alone if name in by_ray and same(alone[name], by_ray[name])]
    print(f"sweep: {len(equal)} of {len(alone)} trainings have the bits of those alone", flush=True)
    return lost and len(equal) == len(alone) == len(by_ray) == 6


def main() -> int:
    """Runs what is asked for; returns the exit code."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # nodes and programs know each other by Ray's token of this user
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=("training", "sweep"), default=("training", "sweep"))
    arguments = parser.parse_args()
    if importlib.util.find_spec("ray") is None:
        print("Ray is not installed: pip install 'maml_tf[ray]'", file=sys.stderr)
        return 2
    folder = ROOT / "runs" / "ray_cluster"
    right = []
    for part in arguments.parts:
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
        right.append({"training": training, "sweep": sweep}[part](folder / part))
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
