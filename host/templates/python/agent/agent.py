"""The agent loop: a model and its tools take turns until the work is finished.

The model is offered the host's tools and one of the role's own, which ends the work.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from componentize_py_types import Err
from wit_world.imports import lm, tools
from wit_world.imports.types import Brief, Error_Exhausted, Error_Invalid

# So many replies of the model, and the attempt is over.
MOST_TURNS = 100
# From this share of the model's context window on, old tool results are emptied.
FULL_CONTEXT = 0.8
# The results of so many replies stay then.
KEPT_RESULTS = 3
# What JSON Schema's types are in Python.
PYTHON_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


@dataclass
class FinishingTool:
    """The role's own tool; `run` returns the arguments that it is called with."""

    name: str
    description: str
    # A JSON Schema of an object, by the words that `mistake` knows.
    parameters: dict[str, Any]


# What speaks against the finishing tool's arguments, for the model; None: nothing.
Objection = Callable[[dict[str, Any]], str | None]


def run(
    system: str,
    first_message: str,
    finish: FinishingTool,
    objection: Objection = lambda arguments: None,
) -> dict[str, Any]:
    """Lets the model work until it calls the finishing tool, and there is no
    objection."""
    own = tools.ToolSpec(
        finish.name, finish.description, json.dumps(finish.parameters), False
    )
    options = lm.Options(system, [*tools.specs(), own], max_output_tokens=None)
    reminded = False
    with lm.Conversation.open(options) as conversation:
        conversation.say(first_message)
        for _ in range(MOST_TURNS):
            reply = conversation.reply()
            if reply.calls:
                results, finished = carry_out(reply.calls, finish, objection)
                conversation.answer(results)
                if finished is not None:
                    return finished
                reminded = False
            elif not reminded:
                conversation.say(
                    "You called no tool, and nobody reads what you write beside your "
                    f"calls. Go on, or call `{finish.name}` if your work is done."
                )
                reminded = True
            else:
                raise Err(
                    Error_Invalid(f"the model stopped without calling `{finish.name}`")
                )
            if (reply.context_used or 0) >= FULL_CONTEXT:
                conversation.elide_results(KEPT_RESULTS)
    raise Err(
        Error_Exhausted(f"`{finish.name}` was not called in {MOST_TURNS} replies")
    )


def carry_out(
    calls: list[tools.ToolCall], finish: FinishingTool, objection: Objection
) -> tuple[list[tools.ToolResult], dict[str, Any] | None]:
    """Runs the calls of one reply. Returns their results in the same order, and
    what the model finished with, if it did."""
    others = [call for call in calls if call.name != finish.name]
    # All in one call, so that the host can run them side by side.
    from_host = tools.call(others) if others else []
    all_well = not any(result.is_error for result in from_host)
    rest = iter(from_host)
    results = []
    finished = None
    for call in calls:
        if call.name != finish.name:
            results.append(next(rest))
            continue
        arguments, complaint = read_arguments(call.arguments, finish.parameters)
        if complaint is None and not all_well:
            complaint = (
                "another call of the same answer failed; look at its result first"
            )
        if complaint is None:
            complaint = objection(arguments)
        if complaint is None:
            finished = arguments
        output = "Accepted." if complaint is None else f"Not accepted: {complaint}."
        results.append(
            tools.ToolResult(call.id, output, is_error=complaint is not None)
        )
    return results, finished


def read_arguments(
    text: str, schema: dict[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """The arguments that the model wrote, and what is wrong with them, if anything."""
    try:
        arguments = json.loads(text)
    except ValueError as error:
        return {}, f"the arguments are no JSON: {error}"
    return arguments, mistake(arguments, schema, "")


def mistake(value: Any, schema: dict[str, Any], place: str) -> str | None:
    """What is wrong with the value at that place in the arguments, for the model."""
    named = f"`{place}`" if place else "the whole"
    if not isinstance(value, PYTHON_TYPES[schema["type"]]):
        return f"{named} must be of type {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{named} must be one of {', '.join(schema['enum'])}"
    parts: list[tuple[Any, dict[str, Any], str]] = []
    if isinstance(value, list):
        items = enumerate(value)
        parts = [(item, schema["items"], f"{place}[{at}]") for at, item in items]
    if isinstance(value, dict):
        known = schema["properties"]
        for name in schema["required"]:
            if name not in value:
                return f"`{inside(place, name)}` is missing"
        for name in value:
            if name not in known:
                there = ", ".join(known)
                return f"`{inside(place, name)}` is not known; there are {there}"
        parts = [
            (part, known[name], inside(place, name)) for name, part in value.items()
        ]
    complaints = (mistake(*part) for part in parts)
    return next((complaint for complaint in complaints if complaint), None)


def inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def object_schema(
    properties: dict[str, Any], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A JSON Schema of an object that has no other properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def text(description: str) -> dict[str, Any]:
    """A JSON Schema of a text."""
    return {"type": "string", "description": description}


def texts(description: str) -> dict[str, Any]:
    """A JSON Schema of a list of texts."""
    return {"type": "array", "items": {"type": "string"}, "description": description}


def brief_message(brief: Brief) -> str:
    """What every role is told, as the beginning of the first message."""
    parts = [f"Goal: {brief.goal}", f"Cycle: {brief.cycle} of {brief.max_cycles}"]
    if brief.root_path not in ("", "."):
        parts.append(f"Only what lies below {brief.root_path} can change.")
    if brief.instructions:
        parts.append(f"The repository's instructions to agents:\n{brief.instructions}")
    if brief.guidance:
        parts.append("\n".join(["What the user said since:", *brief.guidance]))
    return "\n\n".join(parts)
