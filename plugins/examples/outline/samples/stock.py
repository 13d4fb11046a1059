"""What a shop has in stock: `def not_code()` stands in a text."""

from __future__ import annotations

import functools
from dataclasses import dataclass

SHELF = 40
type Names = list[str]


@dataclass(frozen=True)
class Item:
    """One kind of thing."""

    name: str
    count: int = 0

    @property
    def is_gone(self) -> bool:
        return self.count == 0  # def neither(): pass

    @classmethod
    async def load(
        cls,
        path: str,
        *,
        strict: bool = True,
    ) -> "Item":
        text = f"""
def nor_this(): {path}
"""

        def parse(line: str) -> Item:
            name, _, count = line.partition(" ")
            return cls(name, int(count))

        return parse(text)

    class Error(Exception):
        pass


def cached[T](make: T) -> T:
    @functools.wraps(make)
    def wrapper(*arguments, **options):
        return make(*arguments, **options)

    return wrapper


if __name__ == "__main__":
    longest = lambda items: max(items, key=lambda item: len(item.name))

    def main() -> None:
        print(longest([Item("a"), Item("bb")]), SHELF)

    main()
