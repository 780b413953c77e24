"""Figure 2: adapting to a sinusoid, MAML against a pretrained network; also with all points in one half."""

from reproduce.reproduction import Reproduction
from reproduce.sinusoid import SPECS, adaptation_figure

REPRODUCTION = Reproduction(
    "Figure 2",
    specs=SPECS,
    figures=[adaptation_figure("fig2", (5, 0, False), (10, 0, False), (10, 0, True))],
    judged=["sinusoid_other_half", "sinusoid_maml_below_pretrained"],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
