"""Table 2: multi-task parameter averaging against pretraining and MAML, K = 5 (Appendix C.1).

The multi-task rows take longer than the rest of the sinusoid together. They are shown from the published results, and
trained when they are named: `python -m reproduce.table2 sinusoid`.
"""

from reproduce.reproduction import Reproduction
from reproduce.sinusoid import SPECS

REPRODUCTION = Reproduction(
    "Table 2",
    specs=SPECS,
    optional=[f"sinusoid_multitask_{regulariser}" for regulariser in ("no_reg", "l2_reg", "reg_to_mean")],
    judged=["sinusoid_check_zero_predictor", "sinusoid_check_best_task_blind_predictor", "order_table2"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
