"""Serves the adaptation of a SavedModel that `learner.export` wrote: python -m examples.serving FOLDER"""

import argparse

try:
    import uvicorn

    from .app import make_app
    from .model import Served
except ModuleNotFoundError as error:
    raise SystemExit(f"{error.name} is not installed: pip install 'maml_tf[serve]'") from None


def main() -> None:
    parser = argparse.ArgumentParser(prog="serving", description=__doc__)
    parser.add_argument("folder", help="of the SavedModel")
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--most-together", type=_from_one, default=16, help="adaptations in a batch; 1: no batching")
    parser.add_argument("--wait-ms", type=float, default=2.0, help="that a batch waits for more requests")
    parser.add_argument("--most-mb", type=_from_one, default=16, help="of a request")
    parser.add_argument("--most-rows", type=_from_one, default=100, help="of query_x")
    parser.add_argument("--most-users", type=_from_one, default=1000, help="whose weights are kept")
    parser.add_argument("--most-waiting", type=_from_one, default=256, help="connections; more are answered with 503")
    arguments = parser.parse_args()
    if not 0 <= arguments.wait_ms < 1000:
        parser.error(f"--wait-ms {arguments.wait_ms}: expected 0 to 1000")
    served = Served(arguments.folder, arguments.most_rows, arguments.most_users)
    app = make_app(
        served,
        most_together=arguments.most_together,
        wait=arguments.wait_ms / 1000,
        most_bytes=arguments.most_mb * 2**20,
    )
    uvicorn.run(
        app, host=arguments.host, port=arguments.port, limit_concurrency=arguments.most_waiting, access_log=False
    )


def _from_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not allowed; expected a whole number from 1")
    return value


if __name__ == "__main__":
    main()
