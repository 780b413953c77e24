"""The table of what Ray costs on one machine, from benchmarks/results/scaling.json."""

import json
import pathlib

from benchmarks.workloads import TITLES
from reproduce.comparison.pages.markdown import machine, number, short_time, table
from reproduce.comparison.pages.record import Record

NETWORKS = {name: TITLES[name] for name in ("omniglot_5way_1shot", "miniimagenet_1shot")}
NOT_MEASURED = "*Not measured yet: `make bench-scale`.*"


def scaling(record: Record, page: pathlib.Path) -> str:
    """Seconds of a meta-iteration by both paths, their ratio, and the time of a job that does nothing."""
    path = record.root / "benchmarks" / "results" / "scaling.json"
    if not path.exists():
        return NOT_MEASURED
    measured = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for name, title in NETWORKS.items():
        one = measured["networks"][name]
        low, high = one["ratio_range"]
        rows.append(
            [
                title,
                str(one["tasks"]),
                short_time(one["seconds"]["built_in"]),
                short_time(one["seconds"]["actors"]),
                f"{number(one['ratio'], 3)} ({number(low, 3)} to {number(high, 3)})",
                "the same bits" if one["same_bits"] else "equal up to rounding",
            ]
        )
    headers = ["meta-iteration", "tasks", "built-in, two cores", "two actors of one core", "ratio", "parameters"]
    jobs = measured["seconds_per_job"]
    overheads = {name: short_time(jobs[name] - jobs["directly"]) for name in ("local", "ray")}
    return "\n\n".join(
        [
            table(headers, rows),
            f"A job of a sweep takes {overheads['local']} more by `--launcher local` and {overheads['ray']} more by "
            f"`--launcher ray` than its command alone ({short_time(jobs['directly'])}).",
            f"`{measured['command']}`, {measured['date']}, {machine(measured['hardware'])}, Ray {measured['ray']}, "
            f"commit {measured['git_commit'][:7]}, load {measured['load']:.1f}.",
        ]
    )
