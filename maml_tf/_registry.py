"""Open lists: things that are looked up by a name, and that a new file can add to."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from maml_tf.errors import UsageError

Entry = TypeVar("Entry")
Added = TypeVar("Added")


class Registry(Generic[Entry]):
    """Entries by name.

        NETWORKS = Registry("network")

        @NETWORKS.register("mlp")
        def build_mlp(...): ...

        NETWORKS["mlp"]

    Args:
        kind: what an entry is, in words, for error messages.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict = {}

    def register(self, name: Any) -> Callable[[Added], Added]:
        """A decorator that adds an entry under `name`.

        Raises:
            ValueError: the name is taken by another entry.
        """

        def add(entry: Added) -> Added:
            if self._entries.setdefault(name, entry) is not entry:
                raise ValueError(f"{self.kind} {name!r} is registered already, as {self._entries[name]!r}")
            return entry

        return add

    def __getitem__(self, name) -> Entry:
        """The entry of this name; a UsageError that lists the allowed names where there is none."""
        try:
            return self._entries[name]
        except KeyError:
            allowed = ", ".join(map(str, self._entries))
            raise UsageError(f"{self.kind} {name!r} is not known; allowed are {allowed}") from None

    def __contains__(self, name) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator:
        """The names, in the order of registration."""
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
