"""Tells the host why a call failed, whatever happens in it.

A component has no stderr: without this, an exception that nobody caught would be
a crash without a reason.
"""

import io
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from componentize_py_types import Err
from wit_world.imports.types import Error_Invalid

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def guarded(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Makes of any exception an error of the contract that says where it was raised."""

    @wraps(function)
    def call(*arguments: Parameters.args, **named: Parameters.kwargs) -> Answer:
        try:
            return function(*arguments, **named)
        except Err:
            raise
        except Exception as error:
            raise Err(
                Error_Invalid(f"{type(error).__name__}: {error} ({places(error)})")
            ) from None

    return call


class Nowhere(io.TextIOBase):
    """Takes what is printed: without a stdout, `print` would be a crash, too."""

    def write(self, text: str) -> int:
        return len(text)


sys.stdout = sys.stderr = Nowhere()


def places(error: Exception) -> str:
    """Where the exception went through; the source's text is not in the component."""
    frames = traceback.walk_tb(error.__traceback__)
    return " > ".join(f"{frame.f_code.co_name}, line {line}" for frame, line in frames)
