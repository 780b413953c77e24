"""Writes `README.md` and `growth.png` next to the measurements: python -m benchmarks.report"""

import json
import pathlib

from benchmarks.first_step import first_step_rows
from benchmarks.growth import AXES, GROWTH_BASE, draw_growth
from benchmarks.instruction_sets import result_name
from benchmarks.result_files import RESULTS
from benchmarks.tables import (
    Runs,
    cores_in_words,
    details,
    found_values,
    latest,
    measurements,
    medians_key,
    origin,
    summary,
)
from benchmarks.targets import NO_TARGETS, TARGETS, reason
from benchmarks.workloads import WORKLOADS
from maml_tf._io import atomic_write
from maml_tf.cli import exit_codes
from maml_tf.errors import UsageError

HEAD = """# Speed

`python -m benchmarks.report` writes this page from the JSON files of this folder, which `make bench` and `make
bench-peers` write. Every implementation runs in its own process, on the same cores, weights and tasks. They take turns,
each turn in another order. First the meta-gradient of each implementation is compared with ours. The norm of the
difference over the norm of ours must not exceed 1e-3. Where it does, rounding decides too many ReLUs and max-pools for
such a comparison. Then both are computed in float64 as well, where they must agree to 1e-8, and the table tells how far
each is from its own result in float64. The difference of our bfloat16 implementation is the price of its speed and has
no limit.

"""

READING = """
How to read it: `12 (10-14)` says that the other implementation takes 12 times as long as ours, as the ratio of the
medians, and that half of the ratios of the single turns are between 10 and 14. The number in brackets is the same ratio
of processor time, which other work on the machine disturbs less. The share of the peak is the number of multiply-adds
of one exact meta-gradient (`multiply_adds` in `benchmarks/arithmetic.py`) per second, over that of a large float32
matrix product measured in the same turns; on one core by processor time. "Convolutions alone" are the same convolutions
through the same kernels and nothing else: at 80 %, a better way of running them could save at most a fifth. For
sampling, the column of the map_fn reference shows Gymnasium's AsyncVectorEnv, and the share of the peak shows the time
of the physics alone over ours for a time step, with MuJoCo's profiler off as in ours ("physics with profiler": with the
default of its package). Processor time and memory of AsyncVectorEnv are those of its parent process only. Start-up is
the time from the start of the process to the end of the first repetition, with imports, tracing and compilation. The
load is the machine's average at the start and the end. Where it exceeds the number of cores, other work took most of
the time and disturbed the caches, and only the ratios mean something.
"""

AVX2_HEAD = """## With AVX2

The same on the same kind of processor, with `--instruction-set avx2`: the libraries are told to use no wider vectors
(`benchmarks/instruction_sets.py`), as on a processor without AVX-512. Here nothing has to be reached. Peers that are
many times slower were left out.
"""


def write_report(folder: str | pathlib.Path) -> None:
    """Writes the report of a folder of measurements.

    Args:
        folder: holds the result files of workloads, `growth.json` and `first_step.json`. Any may be missing.

    Raises:
        UsageError: there is no measurement, or a file is not one.
    """
    folder = pathlib.Path(folder)
    measured = {name: read_measurements(folder, name) for name in WORKLOADS}
    if not any(measured.values()):
        raise UsageError(f"{folder}: no measurements: `make bench` makes them")
    parts = [HEAD, summary(measured, TARGETS), READING, not_reached(measured)]
    with_avx2 = {name: read_measurements(folder, name, "avx2") for name in WORKLOADS}
    if any(with_avx2.values()):
        parts += [AVX2_HEAD, summary(with_avx2, {})]
    if (folder / "growth.json").exists():
        growth = json.loads((folder / "growth.json").read_text(encoding="utf-8"))
        draw_growth(growth, folder / "growth.png")
        base = ", ".join(f"{GROWTH_BASE[size]} {AXES[size]}" for size in AXES)
        parts.append(
            f"## Growth\n\n![growth](growth.png)\n\nOur second-order meta-gradient of the mini-ImageNet network on one "
            f"core. One size varies, the others are {base}. {origin(growth)}\n"
        )
    if (folder / "first_step.json").exists():
        parts.append(_first_steps(json.loads((folder / "first_step.json").read_text(encoding="utf-8"))))
    parts += [f"## Every implementation\n\n{details(measured)}"]
    if any(with_avx2.values()):
        parts += [f"## Every implementation with AVX2\n\n{details(with_avx2)}"]
    with atomic_write(folder / "README.md") as file:
        file.write("\n".join(parts))


def read_measurements(folder: str | pathlib.Path, name: str, instruction_set: str | None = None) -> Runs:
    """Reads the result files of a workload.

    Args:
        folder: of the files.
        name: of the workload.
        instruction_set: that the measurements were restricted to; None for those without restriction.

    Returns:
        {(cores, with peers): measurement}, empty where nothing was measured.

    Raises:
        UsageError: a file is not a measurement.
    """
    found: Runs = {}
    for peers in (False, True):
        path = pathlib.Path(folder) / result_name(name, peers, instruction_set)
        if path.exists():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                problem = {"problem": content["problem"]}
                found |= {(int(cores), peers): entry | problem for cores, entry in content["cores"].items()}
            except (ValueError, KeyError, AttributeError) as error:
                raise UsageError(f"{path}: no measurement: {error!r}") from None
    return found


def not_reached(measured: dict[str, Runs]) -> str:
    """The section of all missed targets and their reasons."""
    misses: dict[tuple[str, float, str], list[str]] = {}
    for name, cores, runs in measurements(measured):
        ratios = latest(runs)["ratios"]
        targets = TARGETS.get(name, NO_TARGETS)
        for (kind, found), target in zip(found_values(cores, runs).items(), targets, strict=True):
            if target is not None and found is not None and found < target:
                shares = {implementation: ratio[medians_key(cores)] for implementation, ratio in ratios.items()}
                why = reason(name, kind, found, target, shares)
                what = f"{name.replace('_', ' ')}, {_quantity(kind, 'physics_only' in ratios)}"
                misses.setdefault((what, target, why), []).append(f"{found:.3g} on {cores_in_words(cores)}")
    lines = [
        f"- **{what}: {', '.join(found)}; the target is {target:g}.** {why}"
        for (what, target, why), found in misses.items()
    ]
    return "\n".join(["## Targets that are not reached", "", *lines, ""])


def _first_steps(content: dict) -> str:
    """The section on the time to the first meta-gradient."""
    header, rows = first_step_rows(content["workloads"])
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    note = (
        f"From the start of a process to the end of its first meta-gradient on {cores_in_words(content['cores'])}: the "
        "median of new processes, and their processor time in brackets."
    )
    return "\n".join(["## First meta-gradient", "", *lines, "", f"{note} {origin(content)}", ""])


def _quantity(kind: str, sampling: bool) -> str:
    """The quantity that a kind of target limits."""
    if kind == "peer":
        return "the fastest peer / ours"
    if kind == "reference":
        return "AsyncVectorEnv / ours" if sampling else "the map_fn reference / ours"
    return "physics alone / ours" if sampling else "share of the peak"


if __name__ == "__main__":
    with exit_codes():
        write_report(RESULTS)
