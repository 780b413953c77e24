"""Tables of served adaptations, from benchmarks/results/serving.json."""

import json
import math
import pathlib

from benchmarks.workloads import TITLES
from reproduce.comparison.pages.markdown import machine, number, short_time, table
from reproduce.comparison.pages.record import Record

NETWORKS = {name: TITLES[name] for name in ("omniglot_5way_1shot", "miniimagenet_1shot")}
NOT_MEASURED = "*Not measured yet: `make bench-serving`.*"
DEMAND = 10_000  # adaptations a second
CORES = 64  # of a machine


def serving(record: Record, page: pathlib.Path) -> str:
    """Rates and latencies by network, batching and clients, and the malformed requests."""
    measured = _measured(record)
    if measured is None:
        return NOT_MEASURED
    rows = [
        [
            title,
            run["batching"],
            str(run["clients"]),
            number(run["per_second"], 3),
            short_time(run["median_seconds"]),
            short_time(run["p99_seconds"]),
            short_time(run["cpu_seconds_each"]),
        ]
        for name, title in NETWORKS.items()
        for run in measured["networks"][name]["runs"]
    ]
    headers = [
        "",
        "batching",
        "clients",
        "adaptations a second",
        "median",
        "99th percentile",
        "server's processor time each",
    ]
    wrong = sum(run["wrong"] for network in measured["networks"].values() for run in network["runs"])
    bad = measured["malformed"]
    others = ", and other work took most of them" if measured["load"] > 2 * cores_of(measured["hardware"]) else ""
    return "\n\n".join(
        [
            table(headers, rows),
            f"Of {bad['sent']} malformed requests of {bad['kinds']} kinds among {bad['good_sent']} good ones, "
            f"{bad['answered_4xx']} were answered with an error (4xx), and {bad['good_right']} of the good ones with "
            f"the right predictions. Wrong answers in the table's measurements: {wrong}.",
            f"`{measured['command']}`, {measured['date']}, {machine(measured['hardware'])}, commit "
            f"{measured['git_commit'][:7]}, load {measured['load']:.1f}. Clients and server share the cores{others}.",
        ]
    )


def serving_demand(record: Record, page: pathlib.Path) -> str:
    """What 10 000 adaptations a second would need, computed from the measured processor times and sizes."""
    measured = _measured(record)
    if measured is None:
        return NOT_MEASURED
    rows = []
    for name, title in NETWORKS.items():
        network = measured["networks"][name]
        best = min(network["runs"], key=lambda run: run["cpu_seconds_each"])
        cores = DEMAND * best["cpu_seconds_each"]
        rows.append(
            [
                title,
                f"{math.ceil(cores)}",
                f"{math.ceil(cores / CORES)}",
                f"{network['weight_bytes'] / 1e6:.2f} MB",
                f"{DEMAND * 60 * network['weight_bytes'] / 1e9:.0f} GB",
                f"{DEMAND * network['request_bytes'] * 8 / 1e9:.1f} Gbit/s",
            ]
        )
    headers = ["", "cores", f"machines of {CORES}", "weights of a user", "weights of a minute's users", "requests"]
    return table(headers, rows)


def cores_of(hardware: str) -> int:
    """The number of cores that a description of hardware names."""
    return int(hardware.split(", ")[1].split()[0])


def litert(record: Record, page: pathlib.Path) -> str:
    """The time of an adaptation on the processor of this machine by LiteRT, and the size of its file."""
    measured = _measured(record)
    if measured is None:
        return NOT_MEASURED
    rows = [
        [title, short_time(found["seconds"]), f"{found['file_bytes'] / 1e6:.1f} MB"]
        for name, title in NETWORKS.items()
        for found in [measured["networks"][name]["litert"]]
    ]
    return table(["", "one adaptation with predictions for 5 images, one thread of this machine", "file"], rows)


def _measured(record: Record) -> dict | None:
    path = record.root / "benchmarks" / "results" / "serving.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
