"""Figure 7: more sinusoids, MAML against a pretrained network, K = 5 and 10 (Appendix B)."""

from reproduce.reproduction import Reproduction
from reproduce.sinusoid import SPECS, adaptation_figure

REPRODUCTION = Reproduction(
    "Figure 7",
    specs=SPECS,
    figures=[adaptation_figure("fig7", *((K, index, False) for K in (5, 10) for index in (2, 3, 4)))],
    judged=["sinusoid_maml_below_pretrained"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
