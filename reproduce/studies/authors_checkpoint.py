"""The authors' released weights under our evaluation, which shows that it is theirs. `make authors-checkpoint`.

They are the weights of Table 1's mini-ImageNet 5-way 1-shot. Users of the authors' unmodified code get 46.4 +- 1.8 %
after ten steps (PROTOCOL 6); the paper says 48.7.
"""

import pathlib
import sys
import time

import numpy as np

from maml_tf.cli import exit_codes, print_curves
from maml_tf.errors import DataMissingError, UsageError
from maml_tf.experiments.spec import BOTH_SETS
from reproduce.paths import ROOT
from reproduce.studies.study import spec_of, study_parser, write_study

NAME = "authors_checkpoint"
CELL = "miniimagenet_5way_1shot_maml"
CHECKPOINT = ROOT / "data" / "downloads" / "authors_checkpoint" / "model59000"
STEPS = (1, 10)


def read_released(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The released weights by name.

    Args:
        path: the prefix of the TensorFlow checkpoint, or an .npz.

    Raises:
        DataMissingError: a file is missing, or it is not the released one.
        UsageError: the values are not the released ones.
    """
    from maml_tf.models.authors_checkpoint import (
        RELEASED_FILES,
        RELEASED_SHA256,
        read_authors_checkpoint,
        values_sha256,
    )
    from maml_tf.tasks.image_set import file_sha256

    download = "`python data/prepare.py authors-checkpoint` downloads it"
    for name, expected in RELEASED_FILES.items() if path.suffix != ".npz" else ():
        file = path.with_name(path.name + pathlib.PurePath(name).suffix)
        if not file.is_file():
            raise DataMissingError(f"{file} is missing: {download}")
        if (found := file_sha256(file)) != expected:
            raise DataMissingError(f"{file}: its SHA-256 is {found}, {expected} is expected. Remove it; {download}")
    weights = read_authors_checkpoint(path)
    if (found := values_sha256(weights)) != RELEASED_SHA256:
        raise UsageError(
            f"{path}: a checkpoint of the authors' code, but not the released one: the SHA-256 of its values is "
            f"{found}, {RELEASED_SHA256} is expected"
        )
    return weights


def main() -> int:
    parser = study_parser(__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, default=CHECKPOINT, help="TensorFlow prefix, or an .npz")
    arguments = parser.parse_args()
    from maml_tf.experiments.run import build_experiment, summarise, target_value
    from maml_tf.experiments.spec import TargetSpec
    from maml_tf.runtime import configure_runtime
    from maml_tf.training.weights import as_params
    from reproduce.compare import compare_some

    configure_runtime()
    spec = spec_of(CELL, arguments)
    weights = read_released(arguments.checkpoint)
    started = time.monotonic()
    experiment = build_experiment(spec, spec.seeds[0], arguments.data)
    scores = {"1_shot": [experiment.test_scores(as_params(weights, experiment.model, arguments.checkpoint))]}
    curves = {name: summarise(values) for name, values in scores.items()}
    print_curves("the authors' weights, accuracy in percent,", curves, BOTH_SETS)
    targets = {f"{NAME}_step{step}": target_value(curves, TargetSpec("1_shot", step), scores, NAME) for step in STEPS}
    write_study(NAME, arguments, started=started, data=experiment.data, targets=targets, curves=curves)
    return compare_some(list(targets), arguments.runs)


if __name__ == "__main__":
    with exit_codes():
        sys.exit(main())
