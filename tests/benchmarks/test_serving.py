"""The load script: malformed requests are refused and good ones served, and its tables say what was measured."""

import json
import threading
import types

import numpy as np
import pytest

from reproduce.comparison.pages import serving as pages

pytest.importorskip("httpx", reason="httpx is not installed: pip install -r requirements-dev.txt")
testclient = pytest.importorskip(
    "starlette.testclient", reason="starlette is not installed: pip install 'maml_tf[serve]'"
)

from benchmarks.serving import is_right  # noqa: E402
from benchmarks.serving_requests import good_fields, malformed, request_of  # noqa: E402
from examples.serving.app import make_app  # noqa: E402
from examples.serving.model import Input, Served  # noqa: E402

IMAGE = (3, 4, 1)


@pytest.fixture(scope="module")
def client():
    """The service with a model that predicts zeros."""
    served = object.__new__(Served)
    image = np.dtype("float32")
    served.inputs = {
        "support_x": Input((5, *IMAGE), image),
        "support_y": Input((5,), np.dtype("int64")),
        "query_x": Input((None, *IMAGE), image),
    }
    served.classes, served.most_rows, served.most_users, served.weight_bytes = 5, 100, 1, 0
    served.users, served.lock = types.SimpleNamespace(), threading.Lock()
    served.run = lambda key, requests: [np.zeros((key[1], 5), np.float32) for _ in requests]
    with testclient.TestClient(make_app(served, most_bytes=100_000)) as client:
        yield client


def test_malformed_requests_are_refused_and_good_ones_served(client):
    described = client.get("/model").json()
    body, headers = request_of(good_fields(described["inputs"], seed=1))
    answer = client.post("/adapt_and_predict", content=body, headers=headers)
    assert is_right(answer, np.zeros((5, 5)))
    assert not is_right(answer, np.ones((5, 5)))
    kinds = malformed(described["inputs"], described["most_bytes"])
    assert len(kinds) >= 25
    codes = {
        kind: client.post("/adapt_and_predict", content=body, headers=headers).status_code
        for kind, (body, headers) in kinds.items()
    }
    assert {kind: code for kind, code in codes.items() if code not in (400, 413, 415)} == {}
    assert (codes["too large"], codes["other content"], codes["no JSON"]) == (413, 415, 400)


def measured(load):
    run = {"batching": "on", "clients": 16, "answers": 10, "wrong": 3, "per_second": 12.34, "median_seconds": 0.25}
    run |= {"p99_seconds": 0.5, "cpu_seconds_each": 0.02, "peak_bytes": 1}
    slower = run | {"batching": "off", "cpu_seconds_each": 0.04}
    network = {"runs": [slower, run], "request_bytes": 10**6, "weight_bytes": 5 * 10**5}
    network["litert"] = {"seconds": 0.003, "file_bytes": 10**6}
    bad = {"kinds": 30, "sent": 1000, "answered_4xx": 999, "good_sent": 500, "good_right": 498}
    origin = {"command": "c", "date": "d", "hardware": "CPU, 2 cores", "git_commit": "abcdefgh", "load": load}
    return {"networks": dict.fromkeys(pages.NETWORKS, network), "malformed": bad, **origin}


@pytest.mark.parametrize(("load", "disturbed"), [(2.0, False), (12.0, True)])
def test_the_tables_show_what_was_measured(load, disturbed, tmp_path):
    record = types.SimpleNamespace(root=tmp_path)
    for block in (pages.serving, pages.serving_demand, pages.litert):
        assert block(record, tmp_path / "page.md") == pages.NOT_MEASURED
    path = tmp_path / "benchmarks" / "results" / "serving.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(measured(load)))
    shown = pages.serving(record, tmp_path / "page.md")
    assert "| Omniglot 5-way 1-shot | on | 16 | 12.3 |" in shown
    assert "999 were answered with an error (4xx), and 498 of the good ones" in shown
    assert "measurements: 12." in shown  # three wrong answers in each of four runs
    assert ("other work took most of them" in shown) is disturbed
    demand = pages.serving_demand(record, tmp_path / "page.md")
    assert "| Omniglot 5-way 1-shot | 200 | 4 | 0.50 MB | 300 GB | 80.0 Gbit/s |" in demand.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "1.0 MB" in pages.litert(record, tmp_path / "page.md")
