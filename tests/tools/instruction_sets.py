"""Runs the tests as other processors would: with the instruction sets of one after the other.

    python tests/tools/instruction_sets.py --list
    python tests/tools/instruction_sets.py --check                 # what each setting changes on this processor
    python tests/tools/instruction_sets.py                         # all tests under every setting
    python tests/tools/instruction_sets.py avx2 sse --cores 1 2    # all tests under two settings, on one and two cores
    python tests/tools/instruction_sets.py --record runs/sets.jsonl  # goes on after the last part that passed
    python tests/tools/instruction_sets.py avx2 sse --quick        # as .ci/run does
    python tests/tools/instruction_sets.py sse tests/meta tests/ops/test_max_pool.py

NumPy, OpenBLAS, oneDNN, XLA and the C library choose their code by the processor. Environment variables restrict the
choice. So sums are added up in another order, and products are rounded before they are added where there is no fused
multiply-add. The settings only take away: a processor without AVX-512 gains nothing from `avx512`.

The last lines are a table: for each setting and number of cores the numbers of tests, the time, the time of all
processors, and the peak memory of the largest process. A record holds each part that ended. The same command with the
same record runs no part again that passed at the same commit; a changed working tree takes nothing from it.

Exit code 0: all tests pass under all settings. 1: a test fails. 2: wrong usage.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tools.run_tests import PARTS, Part, positive, run_and_print  # noqa: E402

from benchmarks.instruction_sets import AVX2  # noqa: E402


class Setting(NamedTuple):
    """A kind of processor."""

    description: str
    environment: dict[str, str]
    select: str = ""  # pytest's -k


# TensorFlow asks the processor for bfloat16 instructions, not oneDNN. A restricted oneDNN then refuses. Processors that
# really lack them take Eigen, as in `avx2_eigen` and `sse`.
_NO_BFLOAT16 = "not bfloat16"


def _restricted(blas: str, onednn: str, numpy: str, xla: str, glibc: str) -> dict[str, str]:
    return {
        "OPENBLAS_CORETYPE": blas,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "NPY_DISABLE_CPU_FEATURES": numpy,
        "XLA_FLAGS": f"--xla_cpu_max_isa={xla}",
        "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={glibc}",
    }


_NUMPY_AVX512 = AVX2["NPY_DISABLE_CPU_FEATURES"]
_SSE = _restricted("Prescott", "SSE41", f"X86_V3 {_NUMPY_AVX512}", "SSE4_2", "-AVX,-AVX2,-FMA,-AVX512F,-AVX512VL")
SETTINGS = {
    "default": Setting("what the libraries choose on this processor", {}),
    "avx512": Setting(
        "AVX-512 without instructions for bfloat16, such as Skylake-X",
        {"OPENBLAS_CORETYPE": "SkylakeX", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    ),
    "avx2": Setting("AVX2 with fused multiply-add, such as Haswell and Zen 1 to 3", AVX2, _NO_BFLOAT16),
    "avx2_eigen": Setting(
        "the same, with Eigen in place of oneDNN in TensorFlow",
        {**AVX2, "OPENBLAS_CORETYPE": "Zen", "TF_ENABLE_ONEDNN_OPTS": "0"},
    ),
    "avx": Setting(
        "AVX without fused multiply-add in oneDNN, and a BLAS for SSE4.2",
        _restricted("Nehalem", "AVX", f"X86_V3 {_NUMPY_AVX512}", "AVX", "-AVX512F,-AVX512VL"),
        _NO_BFLOAT16,
    ),
    "sse": Setting(
        "SSE4 at most, a BLAS for SSE3, and functions of the C library without fused multiply-add",
        {**_SSE, "TF_ENABLE_ONEDNN_OPTS": "0"},
    ),
    "one_thread": Setting(
        "one thread in each library",
        dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1"),
    ),
}

# One short file of each kind of computation: products of NumPy and TensorFlow, convolutions in float32 and bfloat16,
# batch norm, meta-gradients, Adam, the sampler, TRPO, and what the committed weights give.
QUICK = [
    "tests/meta/test_inner_loop.py",
    "tests/models/test_batch_norm.py",
    "tests/models/test_conv.py",
    "tests/models/test_layers.py",
    "tests/ops/test_convolution.py",
    "tests/ops/test_max_pool.py",
    "tests/ops/test_outer_product_matmul.py",
    "tests/rl/sampling",
    "tests/rl/test_trpo.py",
    "tests/rl/test_value_baseline.py",
    "tests/training/test_adam.py",
    "tests/pins/test_weights.py",
]

# Prints a hash of the bits of some computations of different libraries.
_PROBE = """
import hashlib, json, math
import numpy as np
import tensorflow as tf
random = np.random.default_rng(0)
a, b = (random.normal(size=shape).astype(np.float32) for shape in [(200, 300), (300, 100)])
image, kernel = (tf.constant(random.normal(size=shape), tf.float32) for shape in [(4, 28, 28, 3), (3, 3, 3, 32)])
compiled = tf.function(lambda a, b: tf.reduce_sum(tf.exp(a @ b * 0.1), 1), jit_compile=True)
found = {
    "NumPy matmul": a @ b,
    "NumPy exp": np.exp(a),
    "C library": np.array([math.exp(x) + math.sin(x) for x in a.ravel().tolist()]),
    "TensorFlow matmul": tf.matmul(a, b),
    "TensorFlow conv": tf.nn.conv2d(image, kernel, 1, "SAME"),
    "XLA": compiled(a, b),
}
print(json.dumps({name: hashlib.sha256(np.asarray(value).tobytes()).hexdigest() for name, value in found.items()}))
"""


def environment(name: str) -> dict[str, str]:
    """The variables of a process under a setting. Variables of other settings that are set here do not reach it."""
    controlled = {variable for setting in SETTINGS.values() for variable in setting.environment}
    kept = {variable: value for variable, value in os.environ.items() if variable not in controlled}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", **SETTINGS[name].environment}


def probe(name: str) -> dict[str, str]:
    """{computation: hash of its bits} under a setting."""
    command = [sys.executable, "-c", _PROBE]
    ran = subprocess.run(command, env=environment(name), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout)


def commit() -> str | None:
    """The commit that is tested; None where files differ from it."""
    words = (["status", "--porcelain"], ["rev-parse", "HEAD"])
    changed, head = (subprocess.run(["git", *w], cwd=ROOT, capture_output=True, text=True).stdout for w in words)
    return None if changed.strip() else head.strip() or None


def read_record(path: pathlib.Path | None) -> list[dict[str, Any]]:
    """The parts of a record; none where there is no file. A line that was cut off is left out."""
    if path is None or not path.exists():
        return []
    parts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            parts.append(json.loads(line))
    return parts


def run_tests(name: str, parts: list[Part], cores: int, record: pathlib.Path | None = None) -> list[dict[str, Any]]:
    """Runs the parts of the tests under a setting, on some of the cores that this process may use.

    Args:
        name: of the setting.
        parts: what to run.
        cores: how many cores all processes together may use. One part runs on each at a time.
        record: a file to which each part is added when it ends. What passed there at this commit is not run again.

    Returns:
        What the record has for each part: setting, cores, commit, part, passed, summary, seconds, processor_seconds
        and peak_gb.
    """
    print(f"== {name} on {cores} cores: {SETTINGS[name].description}", flush=True)
    chosen = SETTINGS[name].select
    selections = [" and ".join(f"({select})" for select in (part.select, chosen) if select) for part in parts]
    parts = [part._replace(select=select) for part, select in zip(parts, selections, strict=True)]
    of_all = {"setting": name, "cores": cores, "commit": commit()}
    known = {
        run["part"]: run
        for run in read_record(record)
        if of_all["commit"] and run["passed"] and of_all.items() <= run.items()
    }
    ended = [known[str(part)] for part in parts if str(part) in known]
    for run in ended:
        print(f"passed before: {run['part']}\n    {run['summary']}", flush=True)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cores])
    try:
        for run in run_and_print([part for part in parts if str(part) not in known], cores, environment(name)):
            kept = ("passed", "summary", "seconds", "processor_seconds", "peak_gb")
            ended.append(of_all | {"part": str(run.part)} | {key: getattr(run, key) for key in kept})
            if record is not None:
                record.parent.mkdir(parents=True, exist_ok=True)
                with record.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(ended[-1]) + "\n")
    finally:
        os.sched_setaffinity(0, allowed)
    print(f"== {name} on {cores} cores: {'passed' if all(run['passed'] for run in ended) else 'FAILED'}", flush=True)
    return ended


def table(ended: Iterable[list[dict[str, Any]]]) -> str:
    """A line for each setting and number of cores. Time is that of all parts, divided by the cores that run them."""
    lines = ["setting     cores  result  tests passed  failed  skipped   time  processor time  peak memory"]
    for parts in ended:
        counts = collections.Counter()
        for part in parts:
            for count, word in re.findall(r"(\d+) (passed|failed|error|skipped)", part["summary"]):
                counts["failed" if word == "error" else word] += int(count)
        result = "passed" if all(part["passed"] for part in parts) else "FAILED"
        seconds, of_processors = (sum(part[key] for part in parts) for key in ("seconds", "processor_seconds"))
        cores = parts[0]["cores"]
        lines.append(
            f"{parts[0]['setting']:<10}{cores:>7}  {result}{counts['passed']:>14}{counts['failed']:>8}"
            f"{counts['skipped']:>9}{seconds / cores:>5.0f} s{of_processors:>14.0f} s"
            f"{max(part['peak_gb'] for part in parts):>10.1f} GB"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Runs the tests under the settings asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="SETTING or PATH", help="default: every setting, all tests")
    parser.add_argument("--quick", action="store_true", help="one short file of each kind of computation")
    parser.add_argument("--list", action="store_true", help="print the settings and the paths")
    parser.add_argument("--check", action="store_true", help="print which computations each setting changes")
    there_are = len(os.sched_getaffinity(0))
    parser.add_argument(
        "--cores", type=positive, nargs="+", default=[there_are], metavar="N",
        help="cores that the tests may use, one part on each; several numbers: one after the other; default: all",
    )  # fmt: skip
    parser.add_argument("--record", type=pathlib.Path, metavar="FILE", help="add each part; skip what passed there")
    options = parser.parse_args(arguments)
    paths = [word for word in options.what if "/" in word]
    names = [word for word in options.what if "/" not in word] or list(SETTINGS)
    if unknown := sorted(set(names) - set(SETTINGS)):
        parser.error(f"{', '.join(unknown)}: no such setting; there are {', '.join(SETTINGS)}")
    if missing := [path for path in paths if not (ROOT / path.split("::")[0]).exists()]:
        parser.error(f"{', '.join(missing)}: no such file or folder")
    if too_many := [cores for cores in options.cores if cores > there_are]:
        parser.error(f"--cores {too_many[0]}: this process may use {there_are}")
    if paths and options.quick:
        parser.error("--quick chooses the paths: give it or paths")
    if options.list:
        for name in names:
            print(f"{name}: {SETTINGS[name].description}")
            print(
                "".join(f"    {variable}={value}\n" for variable, value in SETTINGS[name].environment.items()), end=""
            )
        print("paths of --quick:", *QUICK, sep="\n    ")
        return 0
    if options.check:
        usual = probe("default")
        for name in names:
            changed = [computation for computation, bits in probe(name).items() if bits != usual[computation]]
            print(f"{name}: other bits in {', '.join(changed) or 'nothing'}", flush=True)
        return 0
    ended = []
    for cores in options.cores:
        parts = [Part([path]) for path in paths] or PARTS
        if options.quick:
            parts = [Part(QUICK[start::cores]) for start in range(min(cores, len(QUICK)))]
        ended += [run_tests(name, parts, cores, options.record) for name in names]
    print(table(ended), flush=True)
    return 0 if all(part["passed"] for parts in ended for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main())
