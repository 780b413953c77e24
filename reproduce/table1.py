"""Table 1: few-shot classification (section 5.2). Some cells: `python -m reproduce.table1 omniglot_5way_1shot`."""

from reproduce.reproduction import Reproduction

REPRODUCTION = Reproduction(
    "Table 1",
    specs=[
        *(f"omniglot_5way_{shots}shot_{network}" for network in ("nonconv", "conv") for shots in (1, 5)),
        *(f"omniglot_20way_{shots}shot_conv" for shots in (1, 5)),
        "miniimagenet_5way_baselines",
        *(f"miniimagenet_5way_{shots}shot_maml{order}" for order in ("_first_order", "") for shots in (1, 5)),
    ],
    judged=["first_order_close", "first_order_speed"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
