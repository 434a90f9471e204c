"""Check in a process of its own that a schema's grammar builds within limits of time and memory.

llguidance bounds its automata, but not the question whether a pattern can match at all: twenty patterns in an `allOf`,
891 bytes, take minutes and gigabytes. Nothing here imports the model: a process starts in a moment.
"""

from typing import Any

SCHEMA_S = 3.0
"""For one schema; an honest one takes 10 ms."""
SCHEMA_WORKERS = 2
SCHEMAS_WAITING = 8
"""Schemas not seen before that wait for a process; more are turned away."""
SCHEMA_BYTES = 2 * 2**30
"""Address space of such a process."""
LIMITS: dict[str, Any] = {
    "initial_lexer_fuel": 200_000,
    "step_lexer_fuel": 100_000,
    "max_lexer_states": 20_000,
    "step_max_items": 20_000,
    "max_grammar_size": 200_000,
    "precompute_large_lexemes": False,
}
"""Of work and memory for one schema. Patterns may have automata that are exponential in their length."""


def schema_fault(schema: dict[str, Any]) -> str:
    """Why a schema cannot be used; empty where it can be."""
    from llguidance import LLMatcher, LLParserLimits

    try:
        return str(LLMatcher.validate_grammar(grammar_of(schema), limits=LLParserLimits(**LIMITS)))
    except (ValueError, OverflowError) as error:  # an integer that its JSON has no room for
        return str(error)


def grammar_of(schema: dict[str, Any]) -> str:
    """The grammar of a schema; a small model left free to add white space adds nothing else."""
    from llguidance import LLMatcher

    return str(LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False}))
