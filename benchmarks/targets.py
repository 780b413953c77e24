"""The targets of the benchmark, and for each target that is missed the reason, where it was looked into."""

OfWorkload = tuple[float | None, float | None, float | None]
NO_TARGETS: OfWorkload = (None, None, None)
# What shall be reached: the time of the map_fn reference and of the fastest peer over ours, and our share of the
# matrix-product peak. For sampling: the time of AsyncVectorEnv and of envpool over ours, and that of the physics alone
# over ours.
TARGETS: dict[str, OfWorkload] = {
    "sinusoid": (10.0, 1.5, None),
    "sinusoid_training": (10.0, 1.5, None),
    "omniglot_5way_1shot": (1.5, 2.0, 0.5),
    "omniglot_20way_1shot": (1.5, 2.0, 0.5),
    "miniimagenet_1shot": (2.0, 2.5, 0.5),
    "half_cheetah_sampling": (10.0, 1.0, 0.9),
    "ant_sampling": (10.0, 1.0, 0.9),
}
KINDS = ("reference", "peer", "share")  # of the targets, in the order of TARGETS

# Reasons that the measurements of a workload do not show by themselves: (workload, kind of the target) -> reason.
REASONS = {
    ("sinusoid", "reference"): (
        "The meta-gradient takes 0.3 ms. Any call of a compiled TensorFlow function with its 10 arguments and 6 "
        "results takes about as long. Training makes no such calls: sinusoid training shows the same meta-gradient "
        "inside the loop."
    ),
    ("sinusoid", "peer"): "The same 0.3 ms for a call; JAX's calls take 0.02 ms.",
    ("sinusoid_training", "peer"): (
        "Both run XLA's compilation of the same program, and JAX has a newer XLA: alone, the meta-gradient takes 279 "
        "µs there and 335 µs in TensorFlow. Two changes of the program (`maml_tf/ops/outer_product_matmul.py`, "
        "and tasks that the loop carries) still put ours ahead."
    ),
    ("half_cheetah_sampling", "share"): (
        "A profile on one core: of 8.8 µs for a time step, MuJoCo's step takes 7.7. The policies take 0.57, of which a "
        "quarter of a microsecond at the core's peak: 20 rows for each of 20 tasks, whose weights (1 MB) are read at "
        "every time step. The rest takes 0.5: controls, warnings, observations and rewards of 400 simulations whose "
        "memory is no longer in the cache, the log, and joining the trajectories. For 90 % the two would have to take "
        "0.85 together. With MuJoCo's profiler on, which is the default of its package, the physics alone would take "
        "as long as ours."
    ),
    ("ant_sampling", "share"): (
        "A profile on one core: of 49.7 µs for a time step, MuJoCo's steps and resets take 44.6. The policies take "
        "1.5, collecting 125 observations and rewards 0.8, joining the trajectories 0.8, of which the system needs "
        "seven tenths to provide new memory. For 90 % all of this would have to take 4.96."
    ),
}

NO_REASON = "Not examined."


def reason(workload: str, kind: str, found: float, target: float, shares: dict[str, float]) -> str:
    """The reason for a missed target, in a few sentences.

    Args:
        workload: its name.
        kind: of the target, one of KINDS.
        found: the measured value.
        target: the value to reach.
        shares: {implementation: its time over ours}.
    """
    if (workload, kind) in REASONS:
        return REASONS[workload, kind]
    if kind != "share" and "convolutions" in shares:
        rest, excess = 1 - shares["convolutions"], 1 - found / target
        return (
            f"Our time would have to be {excess:.0%} shorter. The convolutions alone, through the same kernels, are "
            f"{1 - rest:.0%} of it; batch norm, ReLU, pooling and the rest would have to take "
            f"{max(0, rest - excess):.0%} instead of {rest:.0%}. If they took no time, the ratio "
            f"would be {found / (1 - rest):.3g}."
        )
    if kind == "reference" and "physics_only" in shares:
        physics = shares["physics_only"]
        return (
            f"The physics alone are {physics:.0%} of our time. If all else took no time, the ratio would be "
            f"{found / physics:.3g}."
        )
    return NO_REASON
