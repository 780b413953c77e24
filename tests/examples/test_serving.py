"""The HTTP service: its numbers, its errors, its limits, and that a bad request harms no good one of its batch."""

import asyncio
import base64
import concurrent.futures
import importlib
import json
import sys

import keras
import numpy as np
import pytest

import maml_tf as mt

pytest.importorskip("httpx", reason="httpx is not installed: pip install -r requirements-dev.txt")
testclient = pytest.importorskip(
    "starlette.testclient", reason="starlette is not installed: pip install 'maml_tf[serve]'"
)

from examples.serving.app import make_app  # noqa: E402
from examples.serving.batching import Batcher  # noqa: E402
from examples.serving.checks import Refused, read_array  # noqa: E402
from examples.serving.model import Served  # noqa: E402

RNG = np.random.default_rng(0)
X, Y, NEW = RNG.normal(size=(3, 2)).astype(np.float32), np.array([2, 0, 1]), RNG.normal(size=(4, 2)).astype(np.float32)
GOOD = {"support_x": X.tolist(), "support_y": Y.tolist(), "query_x": NEW.tolist()}
LIMIT = 20_000


@pytest.fixture(scope="module")
def learner():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)])
    return mt.MAML(model, mt.losses.mean_cross_entropy, 0.3, 2)


@pytest.fixture(scope="module")
def served(learner, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "model"
    learner.export(folder, X, Y)
    return Served(str(folder), most_rows=10, most_users=3)


@pytest.fixture(scope="module")
def client(served):
    with testclient.TestClient(make_app(served, most_bytes=LIMIT)) as client:
        yield client


def in_base64(array):
    return {"base64": base64.b64encode(array.tobytes()).decode(), "shape": list(array.shape), "dtype": array.dtype.name}


def test_the_answers_are_the_learners(client, learner):
    expected = learner.adapt(X, Y)(NEW)
    np.testing.assert_allclose(client.post("/adapt_and_predict", json=GOOD).json()["predictions"], expected, rtol=1e-4)
    packed = GOOD | {"support_x": in_base64(X), "query_x": in_base64(NEW)}
    np.testing.assert_allclose(
        client.post("/adapt_and_predict", json=packed).json()["predictions"], expected, rtol=1e-4
    )
    user = client.post("/adapt", json={name: GOOD[name] for name in ("support_x", "support_y")}).json()["id"]
    found = client.post("/predict", json={"id": user, "query_x": GOOD["query_x"]}).json()["predictions"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/model").json()["inputs"]["support_x"] == {"shape": [3, 2], "dtype": "float32"}
    assert client.get("/model").json()["weight_bytes"] == 4 * (2 * 4 + 4 + 4 * 3 + 3)
    assert client.delete(f"/adapted/{user}").status_code == 204
    assert client.post("/predict", json={"id": user, "query_x": GOOD["query_x"]}).status_code == 404


def test_batched_adaptations_are_equal_to_single_ones(served):
    tasks = [{"support_x": X + shift, "support_y": Y, "query_x": NEW} for shift in np.float32([0, 0.5, -1])]
    for endpoint in ("adapt", "adapt_and_predict"):
        names = ("support_x", "support_y", "query_x")[: 2 if endpoint == "adapt" else 3]
        requests = [{name: task[name] for name in names} for task in tasks]
        together = served.run((endpoint, 4), requests)
        alone = [served.run((endpoint, 4), [request])[0] for request in requests]
        for found, expected in zip(together, alone, strict=True):
            keras.tree.map_structure(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected
            )


def test_the_weights_of_the_latest_users_are_kept(client):
    request = {name: GOOD[name] for name in ("support_x", "support_y")}
    users = [client.post("/adapt", json=request).json()["id"] for _ in range(4)]
    codes = [client.post("/predict", json={"id": user, "query_x": GOOD["query_x"]}).status_code for user in users]
    assert codes == [404, 200, 200, 200]


def nested(depth):
    return "[" * depth + "1" + "]" * depth


BAD = {  # what is sent, the status, and what the answer says
    "not JSON": (b"{", 400, "is not JSON in UTF-8"),
    "other text": ('{"a": 1}'.encode("utf-16"), 400, "is not JSON in UTF-8"),
    "no object": (b"[1]", 400, "the request is a list; expected an object"),
    "nested": (nested(9000).encode(), 400, "nested too deeply"),
    "twice": (b'{"support_x": 1, "support_x": 2}', 400, "support_x: is given twice"),
    "digits": (('{"support_x": ' + "9" * 5000 + "}").encode(), 400, "cannot be read"),
    "missing": ({"query_x": None}, 400, "query_x: null is not allowed; expected nested lists"),
    "unknown": ({"colour": 1}, 400, "colour: is not allowed; expected the fields support_x, support_y, query_x"),
    "shots": ({"support_x": X[:2].tolist()}, 400, "support_x: shape [2, 2] is not allowed; expected [3, 2] of float32"),
    "rank": ({"support_x": X[0].tolist()}, 400, "support_x: shape [2] is not allowed (rank 1, not 2)"),
    "ragged": ({"query_x": [[1, 2], [3]]}, 400, "query_x: the rows of the nested lists have different lengths"),
    "no rows": ({"query_x": []}, 400, "query_x: shape [0] is not allowed"),
    "rows": ({"query_x": [[1, 2]] * 11}, 400, "query_x: shape [11, 2] is not allowed; expected [1 to 10, 2]"),
    "strings": ({"query_x": [["a", "b"]]}, 400, "query_x: a string is not allowed; expected numbers"),
    "truth": ({"query_x": [[True, 1.5]]}, 400, "query_x: a truth value is not allowed"),
    "fractions": ({"support_y": [0.5, 1, 2]}, 400, "support_y: fractions"),
    "one-hot": ({"support_y": np.eye(3).tolist()}, 400, "support_y: shape [3, 3] is not allowed (rank 2, not 1)"),
    "label": ({"support_y": [0, 1, 3]}, 400, "support_y: 3 is not allowed; expected 0 to 2, one of 3 classes"),
    "negative": ({"support_y": [0, 1, -1]}, 400, "support_y: -1 is not allowed"),
    "huge label": ({"support_y": [0, 1, 10**30]}, 400, "support_y: a number is larger than 64 bits"),
    "nan": ({"query_x": [[float("nan"), 1]]}, 400, "query_x: nan is not allowed; expected finite numbers"),
    "infinite": ({"query_x": [[1e39, 1]]}, 400, "query_x: 1e+39 is not allowed; expected finite numbers of float32"),
    "double": ({"query_x": in_base64(NEW.astype(float))}, 400, "query_x: dtype 'float64' is not allowed"),
    "cut off": ({"query_x": in_base64(NEW) | {"shape": [5, 2]}}, 400, "query_x: base64 holds 32 bytes"),
    "base64": ({"query_x": in_base64(NEW) | {"base64": "#"}}, 400, "query_x: base64 cannot be decoded"),
    "size": ({"query_x": in_base64(NEW) | {"shape": [-4, 2]}}, 400, "query_x: shape [-4, 2] is not allowed"),
    "object": ({"query_x": {"a": 1}}, 400, "query_x: an object with ['a'] is not allowed"),
    "large": (b" " * (LIMIT + 1), 413, f"more than {LIMIT} bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_answered_with_the_field_and_what_is_allowed(client, name):
    sent, status, message = BAD[name]
    content = sent if isinstance(sent, bytes) else json.dumps(GOOD | sent).encode()
    answer = client.post("/adapt_and_predict", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    field = answer.json().get("field")
    assert field is None or message.startswith(field)


def test_other_kinds_of_bad_requests(client):
    json_type = {"content-type": "application/json"}
    assert client.post("/adapt", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert client.post("/adapt", content=b"{}", headers=json_type | {"content-encoding": "gzip"}).status_code == 415
    chunks = (b" " * 1000 for _ in range(LIMIT // 1000 + 1))  # without a content-length
    assert client.post("/adapt", content=chunks, headers=json_type).status_code == 413
    assert client.post("/adapt", json={"support_x": GOOD["support_x"]}).json()["field"] == "support_y"
    assert client.post("/predict", json={"id": 3, "query_x": GOOD["query_x"]}).json()["field"] == "id"
    assert client.get("/adapt").status_code == 405
    assert "error" in client.get("/nowhere").json()


def test_bad_requests_among_good_ones_harm_none(client, learner):
    expected = np.asarray(learner.adapt(X, Y)(NEW))

    def good(_):
        found = client.post("/adapt_and_predict", json=GOOD)
        return found.status_code == 200 and np.allclose(found.json()["predictions"], expected, rtol=1e-4, atol=1e-5)

    def bad(_):
        return client.post("/adapt_and_predict", json=GOOD | {"support_y": [0, 1, 3]}).status_code == 400

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda i: (bad if i % 2 else good)(i), range(40)))


def run_batches(run, requests, **options):
    async def together():
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            batcher = Batcher(run, executor, **options)
            return await asyncio.gather(*(batcher("key", request) for request in requests), return_exceptions=True)

    return asyncio.run(together())


def test_requests_are_collected_and_a_failing_one_fails_alone():
    sizes = []

    def run(key, requests):
        sizes.append(len(requests))
        if 3 in requests:
            raise Refused("three")
        return [10 * request for request in requests]

    found = run_batches(run, range(6), most=4, wait=0.05)
    assert [found[i] for i in (0, 1, 2, 4, 5)] == [0, 10, 20, 40, 50]
    assert isinstance(found[3], Refused)
    assert sorted(sizes) == [1, 1, 1, 1, 2, 4]  # the full batch failed and was run one by one
    sizes.clear()
    run_batches(run, range(3), most=1, wait=10.0)  # batching is off: nothing waits
    assert sizes == [1, 1, 1]


def test_a_request_whose_user_has_gone_is_not_run():
    seen = []

    def run(key, requests):
        seen.extend(requests)
        return requests

    async def cancelled():
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            batcher = Batcher(run, executor, most=4, wait=0.02)
            first, second = (asyncio.ensure_future(batcher("key", i)) for i in range(2))
            await asyncio.sleep(0)
            first.cancel()
            return await second

    assert asyncio.run(cancelled()) == 1
    assert seen == [1]


def test_what_is_served_must_be_an_exported_learner(learner, tmp_path):
    with pytest.raises(SystemExit, match="is no SavedModel"):
        Served(str(tmp_path))
    learner.adapt(X, Y).export(tmp_path / "adapted")
    with pytest.raises(SystemExit, match=r"expected a SavedModel that learner\.export wrote"):
        Served(str(tmp_path / "adapted"))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit, match=r"uvicorn is not installed: pip install 'maml_tf\[serve\]'"):
        importlib.import_module("examples.serving.__main__")


def test_numbers_are_read_as_they_are_and_within_their_type():
    values = np.array([[1.5, -2.0]], "<f4")
    np.testing.assert_array_equal(read_array("x", in_base64(values), [None, 2], np.dtype("float32"), 5), values)
    with pytest.raises(Refused, match="outside the range of int8"):
        read_array("y", [200], [1], np.dtype("int8"), 5)
