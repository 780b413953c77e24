"""Which of the paper's numbers belong to which table or panel, and how each is called."""

from collections.abc import Callable

from reproduce.comparison.pages.record import Record
from reproduce.comparison.targets import Target
from reproduce.comparison.verdicts import Row


def _figure5(task: str) -> Callable[[Target], bool]:
    return lambda target: target.experiment == f"rl_{task}" and "Figure 5" in target.where


# {panel: (title, whether a target belongs to it)}; a target belongs to the first panel that takes it.
PANELS: dict[str, tuple[str, Callable[[Target], bool]]] = {
    "table1-omniglot": (
        "Table 1, Omniglot",
        lambda t: t.where == "Table 1" and t.experiment == "omniglot" and t.reproduce,
    ),
    "table1-mini-imagenet": (
        "Table 1, mini-ImageNet",
        lambda t: t.where == "Table 1" and (t.reproduce or t.method.endswith("_baseline")),
    ),
    "table1-cited": ("Table 1, cited rows", lambda t: t.where == "Table 1"),
    "table3": ("Table 3", lambda t: t.where == "Table 3"),
    "authors-weights": ("The authors' weights", lambda t: t.where == "authors' weights"),
    "table2": ("Table 2", lambda t: t.where.startswith("Table 2")),
    "fig6": ("Figures 3 and 6", lambda t: t.experiment == "sinusoid" and "Figure 6" in t.where),
    "sinusoid-checks": ("Checks with a known answer", lambda t: t.where == "derived"),
    "fig4": ("Figure 4", lambda t: "Figure 4" in t.where),
    "fig5-half-cheetah-velocity": ("Figure 5, half-cheetah, goal velocity", _figure5("half_cheetah_goal_velocity")),
    "fig5-half-cheetah-direction": (
        "Figure 5, half-cheetah, forward or backward",
        _figure5("half_cheetah_forward_backward"),
    ),
    "fig5-ant-velocity": ("Figure 5, ant, goal velocity", _figure5("ant_goal_velocity")),
    "fig5-ant-direction": ("Figure 5, ant, forward or backward", _figure5("ant_forward_backward")),
    "table4": ("Table 4", lambda t: t.where == "Table 4"),
    "table5": ("Table 5", lambda t: t.where == "Table 5"),
}

EXPERIMENTS = {
    "omniglot": "Omniglot",
    "miniimagenet": "mini-ImageNet",
    "sinusoid": "sinusoid",
    "rl_2d_navigation": "2D navigation",
    "rl_half_cheetah_goal_velocity": "half-cheetah, goal velocity",
    "rl_half_cheetah_forward_backward": "half-cheetah, forward or backward",
    "rl_ant_goal_velocity": "ant, goal velocity",
    "rl_ant_forward_backward": "ant, forward or backward",
}
METHODS = {
    "maml": "MAML",
    "maml_conv": "MAML",
    "maml_nonconv": "MAML, no convolutions",
    "maml_first_order": "MAML, first order",
    "maml_50_iterations": "MAML after 50 iterations",
    "maml_350_iterations": "MAML after 350 iterations",
    "oracle_975_iterations": "oracle after 975 iterations",
    "context_vector": "context vector",
    "context_vector_z_alone": "context vector, z alone meta-trained",
    "authors_checkpoint": "the authors' MAML weights",
    "finetuning_baseline": "fine-tuning",
    "nearest_neighbour_baseline": "nearest neighbour",
    "multitask_no_reg": "multi-task, no regulariser",
    "multitask_l2_reg": "multi-task, L2",
    "multitask_reg_to_mean": "multi-task, L2 toward the mean",
    "zero_output": "predicting zero",
    "mann_no_conv": "MANN, no convolutions",
    "siamese_nets": "siamese nets",
    "matching_nets": "matching nets",
    "neural_statistician": "neural statistician",
    "memory_module": "memory module",
    "meta_learner_lstm": "meta-learner LSTM",
}


def panel_of(target: Target) -> str:
    """The panel of a target; LookupError where there is none."""
    for name, (_, takes) in PANELS.items():
        if takes(target):
            return name
    raise LookupError(f"{target.id}: no panel of reproduce/comparison/pages/panels.py takes it")


def rows_of(record: Record, panel: str) -> list[Row]:
    """The rows of a panel, in the order of targets.yaml."""
    return [row for row in record.comparison.rows if panel_of(row.target) == panel]


def name_of(target: Target) -> str:
    """A target without its gradient step: `Omniglot 5-way 1-shot, MAML`."""
    ways, shots = (f" {target.setting[key]}-{key[:-1]}" if key in target.setting else "" for key in ("ways", "shots"))
    method = METHODS.get(target.method, target.method.replace("_", " "))
    name = f"{EXPERIMENTS[target.experiment]}{ways}{shots}, {method}"
    return f"{name}: share of the gap to the oracle closed" if target.metric.startswith("gap_closed") else name
