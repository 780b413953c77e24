"""Speed tables from the measurements in benchmarks/results."""

import json
import statistics

from benchmarks.first_step import first_step_rows
from benchmarks.report import read_measurements
from benchmarks.workloads import CHANNELS_LAST, TORCH_PEERS
from maml_tf.experiments.spec import read_spec
from reproduce.comparison.pages.markdown import short_time, table

# What each table shows, by the name of the measurement.
META_GRADIENTS = {
    "sinusoid_training": "sinusoid, inside the training loop",
    "omniglot_5way_1shot_nonconv": "Omniglot 5-way 1-shot, no convolutions",
    "omniglot_5way_1shot": "Omniglot 5-way 1-shot",
    "omniglot_20way_1shot": "Omniglot 20-way 1-shot",
    "miniimagenet_1shot": "mini-ImageNet 5-way 1-shot",
    "miniimagenet_5shot": "mini-ImageNet 5-way 5-shot",
    "miniimagenet_1shot_first_order": "mini-ImageNet 1-shot, first order",
    "miniimagenet_5shot_first_order": "mini-ImageNet 5-shot, first order",
}
SHORT = ("sinusoid_training", "omniglot_5way_1shot", "omniglot_20way_1shot", "miniimagenet_1shot")
META_GRADIENT_HEADERS = [
    "meta-gradient",
    "ours",
    "authors' way",
    "PyTorch",
    "JAX",
    "ours, share of the matrix-product peak",
]
SAMPLING = {"half_cheetah": "half-cheetah", "ant": "ant"}
CORES = (1, 2)


def speed(record, page) -> str:
    """The README's table: a few workloads."""
    rows = [_meta_gradient_row(record, name)[:5] for name in SHORT]
    return table(["meta-gradient", "ours", "authors' way", "PyTorch", "JAX"], rows) + f"\n\n{_caption(record, SHORT)}"


def meta_gradients(record, page) -> str:
    """All meta-gradients, with the share of the matrix-product peak."""
    rows = [_meta_gradient_row(record, name) for name in META_GRADIENTS]
    return table(META_GRADIENT_HEADERS, rows) + f"\n\n{_caption(record, META_GRADIENTS)}"


def meta_gradients_avx2(record, page) -> str:
    """The meta-gradients that were measured with AVX2 at most."""
    names = [name for name in META_GRADIENTS if _runs(record, name, "avx2")]
    rows = [_meta_gradient_row(record, name, "avx2") for name in names]
    return table(META_GRADIENT_HEADERS, rows) + f"\n\n{_caption(record, names, 'avx2')}"


def sampling(record, page) -> str:
    """Sampling of rollouts, and whole meta-iterations."""
    rows = []
    for name, title in SAMPLING.items():
        runs, iteration = (_runs(record, f"{name}_{kind}") for kind in ("sampling", "iteration"))
        ratios = [
            _ratio(runs, side)
            for side in (["async_vector_env"], ["envpool"], ["physics_only"], ["physics_with_profiler"])
        ]
        rows.append([title, _ours(runs), *ratios, _ours(iteration)])
    headers = ["", "ours, a time step", "AsyncVectorEnv", "envpool", "physics alone"]
    headers += ["physics alone, with MuJoCo's profiler as its package comes", "our meta-iteration"]
    return table(headers, rows)


def one_call(record, page) -> str:
    """One sinusoid meta-gradient in each call: the cost of passing its tensors, and of a call that computes nothing."""
    forms = {
        "ours": "ours",
        "ours_one_tensor": "ours, weights and tasks each one tensor",
        "call": "a call that computes nothing",
        "jax_vmap": "JAX",
    }
    runs = _runs(record, "sinusoid")
    latest = {cores: runs[cores, True]["implementations"] for cores in CORES}
    times = [
        " / ".join(short_time(statistics.median(latest[cores][name]["seconds"])) for cores in CORES) for name in forms
    ]
    hardware, day = runs[2, True]["hardware"], runs[2, True]["date"][:10]
    caption = f"On one core / on two ({hardware}; {day})."
    return table(["one meta-gradient per call", *forms.values()], [["sinusoid", *times]]) + f"\n\n{caption}"


def whole_training(record, page) -> str:
    """A whole training of mini-ImageNet 5-way 1-shot, computed from the times of its parts."""
    spec = read_spec(record.root / "reproduce" / "specs" / "miniimagenet_5way_1shot_maml.yaml")
    gradients, blocks = _runs(record, "miniimagenet_1shot"), _runs(record, "miniimagenet_evaluation")
    validated = (spec.meta.iterations // spec.validation.every) * spec.validation.tasks
    hours: dict[str, list[float]] = {"ours": [], "map_fn_reference": []}
    for cores in CORES:
        block = _latest(blocks, cores)
        tasks = block["problem"]["tasks"]
        for name, found in hours.items():
            training = spec.meta.iterations * _seconds_of(_latest(gradients, cores), name)
            tests = (validated + spec.evaluation.tasks) / tasks * _seconds_of(block, name)
            found.append((training + tests) / 3600)
    ratio = " / ".join(_times(theirs / ours) for ours, theirs in zip(*hours.values(), strict=True))
    cells = [" / ".join(f"{value:.0f}" for value in found) for found in hours.values()]
    caption = (
        f"Hours on one core / on two: {spec.meta.iterations} times the meta-gradient, and {validated} validation tasks "
        f"and {spec.evaluation.tasks} test tasks. Sampling and Adam are not in it."
    )
    rows = [["mini-ImageNet 5-way 1-shot", *cells, ratio]]
    return table(["whole training", "ours", "authors' way", "ratio"], rows) + f"\n\n{caption}"


def first_steps(record, page) -> str:
    """The time to the first meta-gradient."""
    content = json.loads((record.root / "benchmarks" / "results" / "first_step.json").read_text(encoding="utf-8"))
    header, rows = first_step_rows(content["workloads"])
    caption = (
        "From the start of a process to the end of its first meta-gradient, the median of three new processes, and "
        f"their processor time in brackets ({content['hardware']}; {content['date'][:10]})."
    )
    return table(header, rows) + f"\n\n{caption}"


def _meta_gradient_row(record, name, instruction_set=None):
    runs = _runs(record, name, instruction_set)
    peaks = [_latest(runs, cores).get("peak") for cores in CORES]
    shares = [
        f"{100 * peak['share_of_cpu_time' if cores == 1 else 'share']:.0f}"
        for cores, peak in zip(CORES, peaks, strict=True)
    ]
    return [
        META_GRADIENTS[name],
        _ours(runs),
        _ratio(runs, ["map_fn_reference"]),
        _ratio(runs, [*TORCH_PEERS, *CHANNELS_LAST]),
        _ratio(runs, ["jax_vmap", "jax_map"]),
        f"{' / '.join(shares)} %",
    ]


def _runs(record, name, instruction_set=None):
    return read_measurements(record.root / "benchmarks" / "results", name, instruction_set)


def _latest(runs, cores):
    return max((run for (number, _), run in runs.items() if number == cores), key=lambda run: run["date"])


def _seconds_of(run, name):
    entry = run["implementations"][name]
    return statistics.median(entry["seconds"]) / entry["units"]


def _ours(runs):
    return " / ".join(short_time(_seconds_of(_latest(runs, cores), "ours")) for cores in CORES)


def _ratio(runs, implementations):
    """How many times as long as ours the fastest of `implementations` takes, on one core and on two."""
    shown = []
    for cores in CORES:
        ratios = {}
        for (number, _), run in sorted(runs.items(), key=lambda item: item[1]["date"]):
            if number == cores:
                ratios |= run["ratios"]
        found = [ratios[name]["of_medians"] for name in implementations if name in ratios]
        shown.append(_times(min(found)) if found else "—")
    return "—" if set(shown) == {"—"} else " / ".join(shown)


def _times(ratio):
    """A ratio to two digits: `0.89`, `1.0`, `2.4`, `54`."""
    return f"{ratio:.2f}" if ratio < 0.995 else f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"


def _caption(record, names, instruction_set=None):
    latest = [_latest(_runs(record, name, instruction_set), 2) for name in names]
    hardware = sorted({run["hardware"] for run in latest})
    days = sorted({run["date"][:10] for run in latest})
    period = " to ".join(sorted({days[0], days[-1]}))
    return (
        f"Ours on one core / on two ({'; '.join(hardware)}; {period}), then how many times as long as ours the others "
        "take: the authors' way of running MAML (`tf.map_fn`, one call an iteration), and the fastest form of PyTorch "
        "and of JAX (`vmap`, or one task after the other; PyTorch also with channels last)."
    )
