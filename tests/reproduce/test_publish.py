"""Publishing: results go into the record whole, with weights, figures and videos, or not at all."""

import dataclasses
import hashlib
import json
import shutil

import pytest
from made_results import TARGETS

from maml_tf.errors import UsageError
from maml_tf.experiments.provenance import NOT_CODE
from maml_tf.experiments.results import read_result, write_result
from reproduce import paths
from reproduce.comparison.gate import Judged, read_expected
from reproduce.publish import publish

SPEC = "sinusoid_oracle"
COMMIT = "0" * 40


@pytest.fixture
def stores(tmp_path):
    """(yours, published, gate): a copy of a part of the record, and your own result of one of its specs."""
    published = dataclasses.replace(paths.own_store(tmp_path / "published"), comparison=tmp_path / "published")
    yours = paths.own_store(tmp_path / "runs")
    for store in (published, yours):
        store.results.mkdir(parents=True)
    for spec in ("sinusoid_maml", "sinusoid_pretrained", SPEC):
        shutil.copy(paths.PUBLISHED.results / f"{spec}.json", published.results)
        shutil.copytree(paths.PUBLISHED.checkpoints / spec, published.checkpoints / spec)
    (published.checkpoints / SPEC / "seed_9.npz").write_bytes(b"of an older training")
    (published.figures).mkdir()
    (published.figures / "fig3.png").write_bytes(b"old picture")
    gate = tmp_path / "gate.yaml"
    gate.write_text("# Numbers.\ntargets: 1\nclaims: 99\n")
    write_own_result(yours)
    return yours, published, gate


def write_own_result(yours, spec=SPEC, **changes):
    """Writes your own result of a spec, with weights."""
    weights = {}
    for seed in (1, 2, 3):
        file = yours.checkpoints / spec / f"seed_{seed}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"weights {seed}".encode())
        weights[f"{spec}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    published = read_result(paths.PUBLISHED.results / f"{spec}.json")
    result = dataclasses.replace(published, git_commit=COMMIT, weights=weights, wall_seconds=7.0, **changes)
    return write_result(result, yours.results)


def files(store):
    return {path: path.read_bytes() for path in store.results.parent.rglob("*") if path.is_file()}


def test_results_of_later_methods_are_not_taken_for_the_papers(stores):
    before = files(stores[1])
    with pytest.raises(UsageError, match=r"'sinusoid_anil' is not allowed: `python -m reproduce\.beyond --publish`"):
        list(publish(["sinusoid_anil"], *stores))
    assert files(stores[1]) == before


def test_result_and_weights_go_together_and_the_comparison_is_rewritten(stores):
    yours, published, gate = stores
    told = list(publish([SPEC], *stores))
    assert f"published: {SPEC} (paper)" in told
    assert (published.results / f"{SPEC}.json").read_bytes() == (yours.results / f"{SPEC}.json").read_bytes()
    copied = {path.name: path.read_bytes() for path in (published.checkpoints / SPEC).iterdir()}
    assert copied == {f"seed_{seed}.npz": f"weights {seed}".encode() for seed in (1, 2, 3)}
    comparison = json.loads((published.comparison / "comparison.json").read_text())
    assert len(comparison["targets"]) == len(TARGETS.entries)
    assert all(entry["yours"] is None for entry in comparison["targets"])
    assert (published.comparison / "comparison.md").exists()
    expected = read_expected(gate)
    assert expected.targets > 1  # raised
    assert expected.claims == 99  # never lowered
    assert gate.read_text().startswith("# Numbers.\n")
    assert read_expected(gate) == Judged(expected.targets, 99)


def test_a_figure_goes_only_with_all_that_it_shows(stores):
    yours, published, _ = stores
    yours.figures.mkdir()
    (yours.figures / "fig3.png").write_bytes(b"new picture")
    write_own_result(yours, "sinusoid_maml")
    told = list(publish([SPEC], *stores))
    assert "fig3 stays: it shows sinusoid_maml, and your result of that is not the published one" in told
    assert (published.figures / "fig3.png").read_bytes() == b"old picture"
    write_own_result(yours, "sinusoid_pretrained")
    told = list(publish(["sinusoid_maml", "sinusoid_pretrained"], *stores))
    assert "published: fig3" in told
    assert any(line.startswith("fig6 stays: there is no") for line in told)
    assert (published.figures / "fig3.png").read_bytes() == b"new picture"


def test_videos_go_with_the_policies_that_they_show(stores):
    yours, published, _ = stores
    shutil.copy(paths.PUBLISHED.results / "ant_velocity_maml.json", yours.results)
    shutil.copytree(paths.PUBLISHED.checkpoints / "ant_velocity_maml", yours.checkpoints / "ant_velocity_maml")
    yours.videos.mkdir()
    for name in ("ant_velocity_goal_0.gif", "ant_direction_goal_1.gif"):
        (yours.videos / name).write_bytes(name.encode())
    list(publish(["ant_velocity_maml"], *stores))
    assert [path.name for path in published.videos.iterdir()] == ["ant_velocity_goal_0.gif"]


def dirty(yours):
    write_own_result(yours)
    path = yours.results / f"{SPEC}.json"
    path.write_text(path.read_text().replace(COMMIT, f"{COMMIT}+dirty"))


def other_weights(yours):
    (yours.checkpoints / SPEC / "seed_2.npz").write_bytes(b"other weights")


def missing_weights(yours):
    (yours.checkpoints / SPEC / "seed_2.npz").unlink()


def forged(yours):
    path = yours.results / f"{SPEC}.json"
    content = json.loads(path.read_text())
    content["curves"]["5_shot"]["mean"][3] = 0.0
    path.write_text(json.dumps(content))


def absent(yours):
    (yours.results / f"{SPEC}.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (dirty, r"git_commit: '0+\+dirty' is not allowed; commit the code and train with that commit"),
        (other_weights, "seed_2.npz has another checksum"),
        (missing_weights, "seed_2.npz is missing"),
        (forged, r"curves.5_shot.mean: 0.0 at step 3 is not the mean of per_seed"),
        (absent, f"'{SPEC}' is not allowed; expected one of the results in .*: none"),
    ],
)
def test_a_result_that_is_not_sound_changes_nothing(stores, spoil, message):
    yours, published, _ = stores
    spoil(yours)
    before = files(published)
    with pytest.raises(UsageError, match=message):
        list(publish([SPEC], *stores))
    assert files(published) == before


@pytest.mark.parametrize(
    ("known", "new"),
    [(("paper", 70000), ("half", 35000)), (("half", 35000), ("cpu", 40000)), (("cpu", 200), ("cpu", 100))],
)
def test_a_result_that_says_less_does_not_replace_one_that_says_more(stores, known, new):
    yours, published, _ = stores
    for store, (profile, done) in ((published, known), (yours, new)):
        (store.results / f"{SPEC}.json").unlink()
        whole = read_result(paths.PUBLISHED.results / f"{SPEC}.json")
        changes = {"profile": profile, "iterations_done": done, "git_commit": COMMIT, "weights": {}}
        write_result(dataclasses.replace(whole, **changes), store.results)
    before = files(published)
    with pytest.raises(UsageError, match=rf"'{new[0]}' after {new[1]} iterations does not replace .*'{known[0]}'"):
        list(publish([SPEC], *stores))
    assert files(published) == before


def test_what_publish_writes_does_not_make_the_code_another_one():
    written = [*dataclasses.astuple(paths.PUBLISHED), paths.GATE, paths.ROOT / "README.md", paths.ROOT / "docs"]
    for path in written:
        relative = path.relative_to(paths.ROOT)
        assert any(relative.is_relative_to(place) for place in NOT_CODE), relative
