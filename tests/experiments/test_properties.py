"""Any input at all: specs are read or refused, episodes are what they must be, verdicts follow their rules."""

import math
import string

import numpy as np
import yaml
from helpers import SPECS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_results import BY_ID

from maml_tf._yaml import parse_yaml
from maml_tf.errors import UsageError
from maml_tf.experiments.spec import ExperimentSpec, read_spec
from maml_tf.tasks.episodes import Episodes
from reproduce.comparison.verdicts import BETTER, HOLDS, MISS, PASS, verdict_of

# No example may fail because a machine is slow.
QUICK = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
SPEC_TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SPECS.glob("*.yaml"))}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["tuned", "maml", "context_vector", "mlp", "1e-3", ".nan", "omniglot"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_lowercase, max_size=6), inner),
    max_leaves=5,
)


def read_or_refuse(text, folder):
    """The spec of a text, or None where it is refused."""
    path = folder / "spec.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        return read_spec(path)
    except UsageError as error:
        return None if str(error).startswith(str(path)) else error


@QUICK
@given(data=st.data())
def test_a_spec_with_any_value_in_any_place_is_read_or_refused(tmp_path_factory, data):
    mapping = yaml.safe_load(SPEC_TEXTS[data.draw(st.sampled_from(list(SPEC_TEXTS)))])
    places = [(section, None) for section in mapping]
    places += [(section, key) for section, inside in mapping.items() if isinstance(inside, dict) for key in inside]
    section, key = data.draw(st.sampled_from([place for place in places if place[0] != "imports"]))
    if key is None:
        mapping[section] = data.draw(VALUES)
    else:
        mapping[section][key] = data.draw(VALUES)
    text = yaml.safe_dump(mapping, allow_unicode=True)
    spec = read_or_refuse(text, tmp_path_factory.mktemp("spec"))
    assert spec is None or isinstance(spec, ExperimentSpec)
    if spec is not None:
        assert len(set(spec.seeds)) == len(spec.seeds) >= 1
        assert all(0 <= seed < 2**31 for seed in spec.seeds)
        assert len(spec.hash) == len(spec.full_hash) == 10


@QUICK
@given(content=st.binary(max_size=60) | st.text(max_size=60))
def test_any_content_at_all_is_refused(tmp_path_factory, content):
    assert read_or_refuse(content, tmp_path_factory.mktemp("spec")) is None


@QUICK
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_way_to_write_a_number_is_that_number(value):
    for text in (repr(value), f"{value:.17e}", f"{value:.17E}"):
        assert parse_yaml(text, "a test") == value


@settings(QUICK, max_examples=25)
@given(
    ways=st.integers(2, 5),
    shots=st.integers(1, 3),
    queries=st.integers(1, 3),
    spare=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    tasks=st.integers(1, 3),
    seed=st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)),
    rotations=st.booleans(),
)
def test_an_episode_never_mixes_classes_or_support_with_query(ways, shots, queries, spare, tasks, seed, rotations):
    """Every image holds its own number, which tells its class."""
    classes, members = ways + spare[0], shots + queries + spare[1]
    numbers = np.arange(classes * members, dtype=np.uint8).reshape(classes, members, 1, 1, 1)
    batch = Episodes(numbers, ways, shots, queries, rotations).sample(seed, tasks)
    drawn = [np.rint(np.asarray(x) * 255).astype(int).reshape(tasks, -1) for x in (batch.support_x, batch.query_x)]
    labels = [np.asarray(y) for y in (batch.support_y, batch.query_y)]
    for task in range(tasks):
        support, query = (each[task] for each in drawn)
        assert not set(support) & set(query)
        assert len(set(support)) == ways * shots
        assert len(set(query)) == ways * queries
        of_label = {}
        for images, of_images in zip((support, query), (labels[0][task], labels[1][task]), strict=True):
            assert sorted(of_images) == sorted(np.repeat(np.arange(ways), len(images) // ways))
            for image, label in zip(images, of_images, strict=True):
                of_label.setdefault(label, set()).add(image // members)
        assert all(len(of) == 1 for of in of_label.values())
        assert len(set.union(*of_label.values())) == ways


GATED = sorted(id_ for id_, target in BY_ID.items() if target.gated)


@QUICK
@given(id_=st.sampled_from(GATED), mean=st.floats() | st.floats(-3, 3), share=st.floats(0, 3))
def test_a_verdict_follows_the_rule_of_its_target(id_, mean, share):
    target = BY_ID[id_]
    for value in (mean, target.paper_mean + share * target.half_width, target.paper_mean - share * target.half_width):
        verdict = verdict_of(target, value)
        assert verdict in (PASS, BETTER, MISS)
        distance = abs(value - target.paper_mean)
        if distance <= target.half_width:
            assert verdict == PASS
        elif not math.isfinite(value):
            assert verdict == MISS
        elif distance > target.half_width * (1 + 1e-6) + 1e-6:
            assert verdict != PASS
            better = (value > target.paper_mean) == (target.direction == "higher")
            if target.tolerance.rule == "two_sided" or not better:
                assert verdict == MISS
        # A value closer to the paper's on the same side is never judged worse.
        closer = target.paper_mean + 0.5 * (value - target.paper_mean)
        if verdict in HOLDS and math.isfinite(closer):
            assert verdict_of(target, closer) in HOLDS
