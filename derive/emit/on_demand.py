"""Values that are worked out from others: each once, after those it needs, in whatever order they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

K = TypeVar("K")


class OnDemand(ABC, Generic[K]):
    """The values of the equations of a recurrence, by what they are the values of; nothing recurses."""

    def __init__(self) -> None:
        self.values: dict[K, Any] = {}

    @abstractmethod
    def needs(self, key: K) -> Iterable[K]:
        """The values from which one is worked out."""

    @abstractmethod
    def work_out(self, key: K) -> Any:
        """The value itself, once those it needs are there."""

    def value(self, key: K) -> Any:
        """Return a value, worked out after all that it needs, where it is not there."""
        stack = [key]
        while stack:
            top = stack[-1]
            if top in self.values:
                stack.pop()
            elif missing := [k for k in self.needs(top) if k not in self.values]:
                stack += missing
            else:
                self.values[top] = self.work_out(top)
        return self.values[key]
