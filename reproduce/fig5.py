"""Figure 5: locomotion, returns while adapting (section 5.3). One panel: `python -m reproduce.fig5 ant_velocity`."""

from reproduce.policies import arms, returns_figure
from reproduce.reproduction import Reproduction

PANELS = ("half_cheetah_velocity", "half_cheetah_direction", "ant_velocity", "ant_direction")
REPRODUCTION = Reproduction(
    "Figure 5",
    specs=arms(*PANELS),
    figures=[*(returns_figure(f"fig5_{panel}", panel) for panel in PANELS), returns_figure("fig5", *PANELS)],
    judged=[
        "paper_bound_cheetah_velocity_random",
        "paper_bound_ant_velocity_random",
        "order_locomotion",
        "pretrain_worse_than_random",
    ],
)

if __name__ == "__main__":
    REPRODUCTION.main(__doc__)
