"""Numbers that other projects publish for the paper's cells (reproduce/peers.yaml). They are shown and never judged."""

import dataclasses
import math
import pathlib

from maml_tf._yaml import read_yaml
from maml_tf.errors import UsageError
from maml_tf.experiments.schema import from_mapping
from reproduce.comparison.targets import Target, Targets


@dataclasses.dataclass(frozen=True)
class Peer:
    """A value that another project publishes for a target.

    Attributes:
        target: id of targets.yaml.
        value: in the target's unit.
        source: the project or paper, and where it says so.
        tag: what differs from the paper's protocol.
        ci95: 95 % half width over tasks.
        sd_seeds: standard deviation over seeds; never given together with `ci95`.
        claim: the source states the number without a log, a seed or an interval.
    """

    target: str
    value: float
    source: str
    tag: str
    ci95: float | None = None
    sd_seeds: float | None = None
    claim: bool = False

    def __post_init__(self):
        if not math.isfinite(self.value):
            raise UsageError(f"value: {self.value} is not allowed; expected a finite number")
        for name in ("ci95", "sd_seeds"):
            spread = getattr(self, name)
            if spread is not None and not 0 < spread < math.inf:
                raise UsageError(f"{name}: {spread} is not allowed; expected a number above 0")
        if self.ci95 is not None and self.sd_seeds is not None:
            raise UsageError("ci95, sd_seeds: one of the two is allowed, they measure different things")
        for name in ("source", "tag"):
            if not getattr(self, name).strip():
                raise UsageError(f"{name}: an empty text is not allowed")


def read_peers(path: str | pathlib.Path, targets: Targets) -> tuple[Peer, ...]:
    """Reads peers.yaml.

    Raises:
        UsageError: a key is missing or wrong, or a target does not exist; names file, entry and key.
    """
    path = pathlib.Path(path)
    items = read_yaml(path)
    if not isinstance(items, list):
        raise UsageError(f"{path}: a list of entries with the keys target, value, source, tag is expected")
    peers = tuple(from_mapping(Peer, item, path, f"[{index}]") for index, item in enumerate(items))
    ids = {target.id for target in targets.entries}
    for index, peer in enumerate(peers):
        if peer.target not in ids:
            raise UsageError(f"{path}: [{index}].target: targets.yaml has no id {peer.target!r}")
        if peer in peers[:index]:
            raise UsageError(f"{path}: [{index}]: the same entry is given twice")
    return peers


def best_first(peers: tuple[Peer, ...], target: Target) -> list[Peer]:
    """The peers of a target, the best value first; values that are only claimed come last."""
    sign = 1 if target.direction == "lower" else -1
    return sorted((peer for peer in peers if peer.target == target.id), key=lambda p: (p.claim, sign * p.value))
