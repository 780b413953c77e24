"""Who may import whom (the design's rooms): read from the source, so that a shortcut fails here."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "maml_tf"
EVERYWHERE = {"errors", "_io", "_lazy", "_registry", "_yaml", "runtime"}
ALLOWED = {
    "tasks": set(),
    "models": {"ops"},
    "ops": {"meta", "rl", "tasks"},
    "meta": {"ops", "tasks"},
    "baselines": {"meta", "models", "tasks", "training"},
    "rl": {"meta", "models", "ops", "tasks", "training"},
    "training": {"meta", "tasks"},
    "evaluation": {"meta", "tasks"},
    "sweep": {"_options", "experiments", "training"},
    "export": {"experiments", "meta", "tasks", "training"},
    "methods": {"meta", "models", "tasks"},
    "experiments": {"methods", "tasks", "models", "meta", "baselines", "rl", "training", "evaluation"},
}


def imported_rooms(room):
    """{(file, room)} of every import of another part of the package."""
    found = set()
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            parts = [name.split(".") for name in names]
            found |= {(path.name, part[1]) for part in parts if part[0] == "maml_tf" and len(part) > 1}
            assert not any(part[0] == "reproduce" for part in parts), f"{path} imports reproduce/"
    return found


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_the_design_allows(room):
    strays = {(file, other) for file, other in imported_rooms(room) if other not in ALLOWED[room] | EVERYWHERE | {room}}
    assert not strays


def test_the_design_names_every_room():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set(ALLOWED)
