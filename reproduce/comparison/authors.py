"""The authors' returns of every test task (reproduce/authors_returns.json), and the goals of those tasks."""

import dataclasses
import pathlib

import numpy as np

from maml_tf._io import parse_json
from maml_tf.errors import UsageError
from reproduce.comparison.targets import Target


@dataclasses.dataclass(frozen=True)
class AuthorsReturns:
    """What the authors published for each test task.

    Attributes:
        goals: {experiment: [tasks, ...]}, positions, velocities or directions.
        returns: {"<experiment>_<method>": [steps + 1, tasks]}.
    """

    goals: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    returns: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def of(self, target: Target) -> np.ndarray | None:
        """The returns [tasks] behind a target, or None: the authors published none, or it is no return."""
        rows = self.returns.get(f"{target.experiment}_{target.method}")
        step = target.grad_step or 0
        if rows is None or target.metric != "mean_undiscounted_return" or not isinstance(step, int):
            return None
        return rows[step] if step < len(rows) else None

    def directions(self, experiment: str) -> np.ndarray | None:
        """+1 (forward) or -1 (backward) for each task, or None: the tasks are not directions."""
        goals = self.goals.get(experiment)
        return goals if goals is not None and goals.ndim == 1 and set(goals) == {-1.0, 1.0} else None


def read_authors_returns(path: str | pathlib.Path) -> AuthorsReturns:
    """Reads authors_returns.json; UsageError names the file and the key that is wrong."""
    path = pathlib.Path(path)
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        read = AuthorsReturns(
            *({name: np.asarray(rows, float) for name, rows in content[key].items()} for key in ("goals", "returns"))
        )
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except KeyError as error:
        raise UsageError(f"{path}: {error.args[0]}: is missing") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: expected tables of numbers under goals and returns ({error})") from None
    for name, rows in read.returns.items():
        goals = next((goals for experiment, goals in read.goals.items() if name.startswith(f"{experiment}_")), None)
        if goals is None or rows.ndim != 2 or rows.shape[1] != len(goals) or not np.isfinite(rows).all():
            raise UsageError(f"{path}: returns.{name}: expected rows of one finite number for each goal")
    return read
