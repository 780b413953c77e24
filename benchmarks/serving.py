"""Load on the service of examples/serving: `make bench-serving`.

Five-way one-shot adaptations with predictions for five images (`adapt_and_predict`), by one client and by sixteen, with
batching on and off. Then malformed requests of every kind among good ones. Server and clients share this machine.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.peer_venvs import ROOT
from benchmarks.result_files import RESULTS, origin_of, write_measurement
from benchmarks.serving_requests import good_fields, malformed, request_of
from benchmarks.workloads import WORKLOADS
from maml_tf.cli import exit_codes
from maml_tf.errors import UsageError

RESULT = RESULTS / "serving.json"
NETWORKS = ("omniglot_5way_1shot", "miniimagenet_1shot")
CLIENTS = (1, 16)
BATCHES = {"off": 1, "on": 16}
TASKS = 16  # different tasks that the clients send in turn
MALFORMED = 1000
TOLERANCE = {"rtol": 1e-3, "atol": 1e-3}  # of logits: a batch sums in another order


def main() -> None:
    """Measures and writes the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--malformed", type=int, default=MALFORMED, help="number of malformed requests")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    arguments = parser.parse_args()
    try:
        import httpx  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{error.name} is not installed: pip install -r requirements-dev.txt") from None
    result: dict[str, Any] = {"networks": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            path = pathlib.Path(folder, name)
            command = [sys.executable, "-m", "benchmarks.serving_export", WORKLOADS[name].spec, str(path)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{name}: could not be exported:\n{done.stderr}")
            result["networks"][name] = measure(path, arguments.seconds) | {
                "litert": json.loads(done.stdout.splitlines()[-1])
            }
        first = pathlib.Path(folder, NETWORKS[0])
        with server(first, BATCHES["on"]) as (url, _):
            result["malformed"] = mixed(url, arguments.malformed)
    write_measurement(arguments.out, result | origin_of("benchmarks.serving") | {"load": os.getloadavg()[0]})


def measure(folder: pathlib.Path, seconds: float) -> dict[str, Any]:
    """Rates and latencies of one network.

    Args:
        folder: of its SavedModel.
        seconds: of each measurement.
    """
    import httpx

    runs, bodies, weights = [], [b""], 0
    for batching, most in BATCHES.items():
        with server(folder, most) as (url, pid):
            bodies, expected = good_requests(url)
            weights = httpx.get(f"{url}/model").json()["weight_bytes"]
            for clients in CLIENTS:
                before = cpu_seconds(pid)
                found = load(url, bodies, expected, clients, seconds)
                found["cpu_seconds_each"] = (cpu_seconds(pid) - before) / found["answers"]
                runs.append({"batching": batching, "clients": clients, **found, "peak_bytes": peak_bytes(pid)})
                print(f"{folder.name}, batching {batching}, {clients} clients: {runs[-1]}", flush=True)
    return {"runs": runs, "request_bytes": len(bodies[0]), "weight_bytes": weights}


@contextlib.contextmanager
def server(folder: pathlib.Path, most_together: int) -> Iterator[tuple[str, int]]:
    """A server in a new process; yields its address and process id."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "examples.serving", str(folder), "--port", str(port)]
    command += ["--most-together", str(most_together)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, process)
            yield url, process.pid
        finally:
            process.terminate()


def wait_for(url: str, process: subprocess.Popen, seconds: float = 180.0) -> None:
    """Waits until a server answers."""
    import httpx

    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health").status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"the server did not start within {seconds:g} s (exit code {process.poll()})")


def good_requests(url: str) -> tuple[list[bytes], list[np.ndarray]]:
    """Requests of different tasks, and their answers when each is alone."""
    import httpx

    inputs = httpx.get(f"{url}/model").json()["inputs"]
    bodies = [request_of(good_fields(inputs, seed))[0] for seed in range(TASKS)]
    with httpx.Client(base_url=url, timeout=60) as client:
        return bodies, [np.asarray(post(client, body).json()["predictions"]) for body in bodies]


def post(client: Any, body: bytes, headers: dict[str, str] | None = None) -> Any:
    """The answer to a request for an adaptation with predictions."""
    return client.post("/adapt_and_predict", content=body, headers=headers or {"content-type": "application/json"})


def is_right(answer: Any, expected: np.ndarray) -> bool:
    """Whether an answer holds the expected predictions."""
    return answer.status_code == 200 and np.allclose(answer.json()["predictions"], expected, **TOLERANCE)


def load(url: str, bodies: list[bytes], expected: list[np.ndarray], clients: int, seconds: float) -> dict[str, Any]:
    """What clients see that send one request after another: rate, latencies, wrong answers."""
    import httpx

    def one_client(number: int) -> tuple[list[float], int]:
        latencies, wrong, task = [], 0, number
        with httpx.Client(base_url=url, timeout=60) as client:
            post(client, bodies[0])
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                task = (task + 1) % len(bodies)
                start = time.perf_counter()
                answer = post(client, bodies[task])
                latencies.append(time.perf_counter() - start)
                wrong += not is_right(answer, expected[task])
        return latencies, wrong

    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(one_client, range(clients)))
    took = time.monotonic() - start
    latencies = sorted(latency for of_client, _ in found for latency in of_client)
    return {
        "answers": len(latencies),
        "wrong": sum(wrong for _, wrong in found),
        "per_second": len(latencies) / took,
        "median_seconds": statistics.median(latencies),
        "p99_seconds": latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))],
    }


def mixed(url: str, number: int) -> dict[str, Any]:
    """Malformed requests of every kind, with half as many good ones among them, from sixteen clients."""
    import httpx

    described = httpx.get(f"{url}/model").json()
    kinds = malformed(described["inputs"], described["most_bytes"])
    bodies, expected = good_requests(url)
    requests: list[tuple[str | None, int]] = [(list(kinds)[i % len(kinds)], 0) for i in range(number)]
    requests += [(None, i % len(bodies)) for i in range(number // 2)]
    random.Random(0).shuffle(requests)

    with httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_connections=16)) as client:

        def send(request: tuple[str | None, int]) -> tuple[str, bool]:
            kind, task = request
            if kind is None:
                return "good", is_right(post(client, bodies[task]), expected[task])
            answer = post(client, *kinds[kind])
            return "malformed", 400 <= answer.status_code < 500 and "error" in answer.json()

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            counts = Counter(pool.map(send, requests))
    return {
        "kinds": len(kinds),
        "sent": number,
        "answered_4xx": counts["malformed", True],
        "good_sent": number // 2,
        "good_right": counts["good", True],
    }


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    """Peak memory of a process so far."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    with exit_codes():
        main()
