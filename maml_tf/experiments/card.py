"""The card of trained weights: what they were trained on, how well they do, and what they are known to fail at."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from typing import Any

from maml_tf._yaml import read_yaml
from maml_tf.experiments.results import Result, read_result
from maml_tf.experiments.schema import given
from maml_tf.experiments.spec import ExperimentSpec


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """What is known of published weights. `print` shows it.

    Attributes:
        name: of the spec.
        seed: of the training.
        weights_sha256: of the weight file.
        data: what was trained on: name, origin and checksum of the data set, or the environment.
        tasks: the section `tasks` of the spec.
        split: how data for training and test were kept apart.
        iterations: meta-iterations done.
        scores: by id of the paper's number: the measured mean with its 95 % interval, after how many gradient steps, on
            how many held-out tasks.
        known_failures: by id of the paper's number: why it is missed.
        licence: of the weights.
    """

    name: str
    seed: int
    weights_sha256: str
    data: str
    tasks: str
    split: str
    iterations: int
    scores: dict[str, str]
    known_failures: dict[str, str]
    licence: str

    def __str__(self) -> str:
        lines = [f"{self.name}, seed {self.seed}, {self.iterations} meta-iterations"]
        lines += [f"{key}: {getattr(self, key)}" for key in ("data", "tasks", "split")]
        lines += [f"score {name}: {text}" for name, text in self.scores.items()]
        lines += [f"known failure {name}: {text}" for name, text in self.known_failures.items()]
        lines += [f"licence: {self.licence}", f"weights: SHA-256 {self.weights_sha256}"]
        return "\n".join(lines)


def read_card(spec: ExperimentSpec, weights: pathlib.Path, reproduce: pathlib.Path) -> ModelCard | None:
    """The card of published weights.

    Args:
        spec: that they were trained from.
        weights: the file, `<spec>/seed_<n>.npz`.
        reproduce: the folder `reproduce` of the repository.

    Returns:
        None where the file is not the one that the published result describes.
    """
    path = reproduce / "results" / f"{spec.name}.json"
    file, checksum = f"{weights.parent.name}/{weights.name}", hashlib.sha256(weights.read_bytes()).hexdigest()
    if not path.exists():
        return None
    result = read_result(path)
    if result.weights.get(file) != checksum:
        return None
    seed = int(weights.stem.split("_")[1])
    failures = read_yaml(reproduce / "known_failures.yaml") or []
    licence = (reproduce.parent / "LICENSE").read_text(encoding="utf-8").splitlines()[0]
    return ModelCard(
        name=spec.name,
        seed=seed,
        weights_sha256=checksum,
        data=", ".join(f"{key} {value}" for key, value in result.data.items()) or "drawn from a formula or simulated",
        tasks=", ".join(f"{key} {value}" for key, value in given(spec.tasks).items()),
        split=_split(spec.tasks),
        iterations=result.iterations_done,
        scores={name: _score(spec, result, name, seed) for name in spec.targets if name in result.targets},
        known_failures={item["id"]: " ".join(item["cause"].split()) for item in failures if item["id"] in spec.targets},
        licence=f"{licence}, as the repository",
    )


def _split(tasks: Any) -> str:
    sizes = getattr(tasks, "split_sizes", None)
    if sizes is None:
        return "test tasks are drawn with seeds of their own"
    drawn = f", drawn with seed {tasks.split_seed}" if hasattr(tasks, "split_seed") else ", the official split"
    return ", ".join(f"{size} classes for {split}" for split, size in sizes.items()) + drawn


def _score(spec: ExperimentSpec, result: Result, name: str, seed: int) -> str:
    value, answer = result.targets[name], spec.targets[name]
    shown = f"{value.mean:.4g} ± {value.ci95:.2g}"
    if len(result.seeds) > 1:
        own = value.per_seed[result.seeds.index(seed)]
        shown += f" over {len(result.seeds)} seeds, {own:.4g} for this one"
    return f"{shown} ({spec.score_at(answer.step)}; {value.n_tasks} held-out tasks)"
