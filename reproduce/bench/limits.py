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
        "there and 335 µs in TensorFlow. Two changes of the program (`maml_tf/models/few_rows.py`, the tasks carried "
        "by the loop) put ours ahead all the same."
    ),
    ("half_cheetah_sampling", "share"): (
        "A profile on one core: of 11.0 µs a time step 9.1 are MuJoCo's step. The policy's products, activations and "
        "noise take 0.8, observations and rewards 0.3, control, warnings and the bookkeeping of 800 environments 0.5, "
        "laying trajectories end to end 0.2. For 90 % all these would have to take 1.0 together."
    ),
    ("ant_sampling", "share"): (
        "As for half-cheetah, with 125 observations instead of 20 to be gathered and copied every time step."
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
