"""Figure 3: error on the sinusoids after each gradient step, K = 10."""

from reproduce.reproduction import Reproduction
from reproduce.sinusoid import SPECS, error_figure

REPRODUCTION = Reproduction(
    "Figure 3",
    specs=SPECS,
    figures=[error_figure("fig3", 10)],
    judged=["sinusoid_maml_below_pretrained", "sinusoid_oracle_lowest"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
