"""What names the run folders: the hashes and lengths of every spec under every profile."""

import pathlib

from maml_tf.experiments.run import run_directory_of
from maml_tf.experiments.schema import read_yaml_mapping
from maml_tf.experiments.spec import PROFILES, read_spec

SPECS = pathlib.Path(__file__).resolve().parents[2] / "reproduce" / "specs"


def profiles_of(path: pathlib.Path) -> list[str]:
    """The profiles that a spec file can be read under."""
    return ["paper", *(read_yaml_mapping(path).get("profiles") or {})]


def spec_hashes() -> dict:
    """{spec: {profile: what is pinned}} of every file in reproduce/specs.

    `hash` names the run folder, `full_hash` the folder of its result. A training of either name is taken up by
    `--resume` and by the next `make`, so another hash orphans it.
    """
    pins = {}
    for path in sorted(SPECS.glob("*.yaml")):
        pins[path.stem] = {}
        for profile in sorted(profiles_of(path), key=PROFILES.index):
            spec = read_spec(path, profile)
            pins[path.stem][profile] = {
                "hash": spec.hash,
                "full_hash": spec.full_hash,
                "run_folders": [
                    run_directory_of(spec, seed, "runs").path.relative_to("runs").as_posix() for seed in spec.seeds
                ],
                "iterations": spec.iterations,
                "iterations_asked": spec.iterations_asked,
            }
    return pins
