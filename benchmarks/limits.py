"""Why a target is not reached: the arithmetic of what bounds ours, as far as it was measured."""

# What the measurements of a workload do not show by themselves: (workload, which target) -> reason.
REASONS = {
    ("sinusoid", "authors"): (
        "The meta-gradient takes 0.3 ms, and so does any call of a compiled TensorFlow function with its 10 arguments "
        "and 6 results, whatever it computes. Training makes no such calls: see sinusoid training, the same "
        "meta-gradient inside the loop."
    ),
    ("sinusoid", "peer"): "The same 0.3 ms a call; JAX's calls take 0.02.",
    ("sinusoid_training", "peer"): (
        "Both run what XLA makes of the same program, and JAX has a newer XLA: alone, the meta-gradient takes 279 µs "
        "there and 335 µs in TensorFlow. Two changes of the program (`maml_tf/ops/outer_product_matmul.py`, the tasks "
        "carried by the loop) put ours ahead all the same."
    ),
    ("half_cheetah_sampling", "share"): (
        "A profile on one core: of 8.8 µs a time step 7.7 are MuJoCo's step. The policies take 0.57, a quarter of a "
        "microsecond of it at the core's peak: 20 rows for each of 20 tasks, whose weights, 1 MB, are read anew every "
        "time step. All else takes 0.5: control, warnings, observations and rewards of 400 simulations whose memory no "
        "longer is in the cache, the log, laying trajectories end to end. For 90 % the two would have to take 0.85 "
        "together. With MuJoCo's profiler on, as its package comes, the physics alone would take as long as ours."
    ),
    ("ant_sampling", "share"): (
        "A profile on one core: of 49.7 µs a time step 44.6 are MuJoCo's steps and starts. The policies take 1.5, "
        "gathering 125 observations and rewards 0.8, laying trajectories end to end 0.8, seven tenths of it the "
        "system's work to give memory that is new to the process. For 90 % all else would have to take 4.96 together."
    ),
}

NO_REASON = "Not looked into."


def reason(workload, which, found, target, shares):
    """Why a target was missed, a sentence or a few.

    Args:
        workload: its name.
        which: "authors", "peer" or "share", the target.
        found, target: what was measured, what is asked.
        shares: {side: what it takes over what ours takes}.
    """
    if (workload, which) in REASONS:
        return REASONS[workload, which]
    if which != "share" and "convolutions" in shares:
        rest, excess = 1 - shares["convolutions"], 1 - found / target
        return (
            f"{excess:.0%} of our time would have to go. The convolutions alone, through the same kernels, are "
            f"{1 - rest:.0%}; batch norm, ReLU, pooling and all else would have to take {max(0, rest - excess):.0%} "
            f"instead of {rest:.0%}. Were they free, it would be {found / (1 - rest):.3g}."
        )
    if which == "authors" and "physics_only" in shares:
        physics = shares["physics_only"]
        return (
            f"The physics alone are {physics:.0%} of our time; were all else free, it would be {found / physics:.3g}."
        )
    return NO_REASON
