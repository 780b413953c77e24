from typing import Any

class SimulationError(Exception):
    ids: Any

def __getattr__(name: str) -> Any: ...
