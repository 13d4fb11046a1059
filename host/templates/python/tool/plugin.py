"""{{name}}: a tool that counts the words of a file."""

import json

from componentize_py_types import Err
from guard import guarded
from wit_world import exports
from wit_world.imports import files
from wit_world.imports.tools import ToolSpec
from wit_world.imports.types import Error_Invalid, Error_NotFound

COUNT_WORDS = ToolSpec(
    name="count_words",
    description="Counts the words of a text file.",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {
                "path": {
                    "type": "string",
                    "description": "The file, relative to the repository's top.",
                }
            },
            "required": ["path"],
            "additionalProperties": False,
        }
    ),
    writes=False,
)
# The host hands out no larger piece of a file.
LARGEST_FILE = 10 * 1024 * 1024


class ToolProvider(exports.ToolProvider):
    @guarded
    def specs(self) -> list[ToolSpec]:
        return [COUNT_WORDS]

    @guarded
    def call(self, name: str, arguments: str) -> str:
        if name != COUNT_WORDS.name:
            raise Err(
                Error_NotFound(f"there is no tool {name}; call {COUNT_WORDS.name}")
            )
        return count_words(path_argument(arguments))


def path_argument(arguments: str) -> str:
    """Reads the arguments; the model wrote them, so they can be anything."""
    try:
        path = json.loads(arguments)["path"]
    except (ValueError, KeyError, TypeError):
        path = None
    if not isinstance(path, str):
        raise Err(Error_Invalid('the arguments have to be like {"path": "README.md"}'))
    return path


def count_words(path: str) -> str:
    try:
        contents = files.read(path, 0, LARGEST_FILE)
    except Err as error:
        if not isinstance(error.value, Error_NotFound):
            raise
        raise Err(
            Error_NotFound(
                f"there is no file {path}; name one relative to the repository's top"
            )
        ) from None
    return f"{path} has {len(contents.split())} words"
