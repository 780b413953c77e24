"""The connection to a Ray cluster."""

from __future__ import annotations

import importlib
import logging
import os
import pathlib
import re
import signal
import socket
import tempfile
import threading
from typing import Any

from maml_tf.errors import UsageError

SECONDS_TO_ANSWER = 10


def check_address(address: str, name: str) -> None:
    """Refuses an address that is none, or where nothing answers: Ray itself would try for minutes.

    Args:
        address: "HOST:PORT".
        name: of the argument or option, for the message.

    Raises:
        UsageError: as above.
    """
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"[\w.-]+", host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise UsageError(f"{name} {address}: expected HOST:PORT")
    if why := _silent(host, port):
        raise UsageError(f"{name} {address}: there is no Ray cluster that can be used ({why})")


def _silent(host: str, port: str) -> str:
    """Why nothing answers at an address; empty where something does."""
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError, ValueError) as error:
        return str(error)
    return ""


def _found(address: str | None, name: str) -> str | None:
    """The address to give to Ray where its record of this machine's cluster names one that has ended.

    Ray leaves the record there when a cluster or a program is killed, and then tries to reach it for minutes.

    Args:
        address, name: see `connect`.

    Raises:
        UsageError: the address is "auto", and the cluster in the record does not answer.
    """
    if address not in (None, "auto") or os.environ.get("RAY_ADDRESS"):
        return address
    folder = pathlib.Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:
        recorded = (folder / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return address
    host, _, port = recorded.rpartition(":")
    why = _silent(host, port)
    if not why:
        return address
    if address is None:
        return "local"  # a new one
    raise UsageError(
        f"{name} {address}: the last Ray cluster of this machine, {recorded}, has ended ({why}); `ray start --head` "
        "starts one, and HOST:PORT names another one"
    )


def ray_module(asked_by: str) -> Any:
    """The package Ray.

    Args:
        asked_by: the option or argument that needs it, for the message.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UsageError(f"{asked_by}: Ray is not installed: pip install 'maml_tf[ray]'") from None


def connect(ray: Any, address: str | None, name: str) -> bool:
    """Connects this process to a cluster, unless the program has done so; returns whether it was done here.

    Args:
        ray: the package.
        address: "HOST:PORT", "auto" for the cluster that this machine belongs to, or None for that one, or a new one
            on this machine where there is none.
        name: of the argument or option, for the message.

    Raises:
        UsageError: there is no such cluster.
    """
    if ray.is_initialized():
        return False
    address = _found(address, name)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        told = str(error).strip().split("\n")[0]
        raise UsageError(
            f"{name} {address}: there is no Ray cluster that can be used ({told}). A cluster with tokens needs "
            "RAY_AUTH_MODE=token in the environment"
        ) from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray has put its own in its place
    return True


def most_cores(ray: Any) -> float:
    """The cores of the largest machine of the cluster that this process is connected to."""
    return max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
