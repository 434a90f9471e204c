"""State in a model's files how it is asked and how it answers, so that every server that reads them answers alike.

- A release's chat_template.jinja asks to think, unless a request says
  `chat_template_kwargs: {"enable_thinking": false}` or its words ask already;
- a published model's template asks in the words of its own training: the project's sentence is replaced by them;
- generation_config.json holds temperature 0, the room for an answer, and the tokens that are never said;
- config.json, under `audio_window`, says what is heard of a recording that is longer than the model hears
  (transformers drops what it does not know from generation_config.json).

The rules of asking stand before a template and change the messages that it renders; the template stays as it is.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from music_flamingo.audio.windows import Rule
from music_flamingo.core.shards import write_atomic
from music_flamingo.prompts.loader import render_question
from music_flamingo.vllm_plugin.windowing import RULE_KEY

MARK = "{#- the last question asks to think, unless enable_thinking is false #}"
"""At the beginning of a template that knows the rule."""

_ASKING = (
    "{%- set asking = namespace(messages=[]) -%}"
    "{%- for message in messages -%}"
    "{%- if loop.last and message['role'] == 'user' and enable_thinking | default(true) -%}"
    "{%- if message['content'] is string -%}"
    "{%- set words = message['content'] -%}"
    "{%- set asked = words if ASKED(words) else words ~ SENTENCE -%}"
    "{%- else -%}"
    "{%- set said = namespace(words='') -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}{%- set said.words = said.words ~ part['text'] -%}{%- endif -%}"
    "{%- endfor -%}"
    "{%- set asked = message['content'] | list -%}"
    "{%- if not ASKED(said.words) -%}"
    "{%- set asked = asked + [{'type': 'text', 'text': SENTENCE}] -%}"
    "{%- endif -%}"
    "{%- endif -%}"
    "{%- set asking.messages = asking.messages + [{'role': 'user', 'content': asked}] -%}"
    "{%- else -%}"
    "{%- set asking.messages = asking.messages + [message] -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- set messages = asking.messages -%}"
)

_END_OF_ASKING = "{%- set messages = asking.messages -%}"
_OWN = re.compile(r'^\{#- asks to think in these words: ("(?:[^"\\]|\\.)*") #\}')
_TRANSLATING = (
    "{%- set own = namespace(messages=[]) -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] != 'user' or not message['content'] -%}"
    "{%- set own.messages = own.messages + [message] -%}"
    "{%- elif message['content'] is string -%}"
    "{%- set own.messages = own.messages + [dict(message, content=message['content'] | replace(SENTENCE, OWN))] -%}"
    "{%- else -%}"
    "{%- set own.parts = [] -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part.get('text') -%}"
    "{%- set own.parts = own.parts + [dict(part, text=part['text'] | replace(SENTENCE, OWN))] -%}"
    "{%- else -%}{%- set own.parts = own.parts + [part] -%}{%- endif -%}"
    "{%- endfor -%}"
    "{%- set own.messages = own.messages + [dict(message, content=own.parts)] -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- set messages = own.messages %}"
)


def sentence() -> str:
    """What follows a question whose answer is to be thought about, with the space before it, as training puts it."""
    return render_question("Q", (), think=True).removeprefix("Q")


def asks_to_think(template: str) -> bool:
    """Whether a chat template states the rule itself."""
    return template.startswith(MARK)


def answering_template(template: str) -> str:
    """The same chat template, which now asks to think; one that does already stays as it is."""
    if asks_to_think(template):
        return template
    own, house = own_words(template), json.dumps(sentence())
    words = [house] if own is None else [house, json.dumps(own)]
    asking = _ASKING
    for place in ("words", "said.words"):
        asked = " or ".join(f"{one} in {place}" for one in words)
        asking = asking.replace(f"not ASKED({place})", f"{house} not in {place}" if own is None else f"not ({asked})")
        asking = asking.replace(f"ASKED({place})", asked)
    return MARK + asking.replace("SENTENCE", house) + template


def own_words(template: str) -> str | None:
    """What follows a question in the words of the model's own training, with the space before it; None where the
    project's sentence stands."""
    found = _OWN.match(template.split(_END_OF_ASKING, 1)[-1] if asks_to_think(template) else template)
    return json.loads(found.group(1)) if found else None


def in_own_words(template: str, think: str | None) -> str:
    """The template of a published model, which now says `think` where the project's sentence asks to think.

    Unchanged where the model has no words of its own (None).
    """
    if think is None:
        return template
    own = json.dumps(f" {think}")
    translating = _TRANSLATING.replace("SENTENCE", json.dumps(sentence())).replace("OWN", own)
    return f"{{#- asks to think in these words: {own} #}}{translating}{template}"


def stated_rules(model: Path) -> tuple[bool, int | None]:
    """What a model's files say of a bare question: whether it is thought about, and the room for its answer."""
    template, generation = model / "chat_template.jinja", model / "generation_config.json"
    rules = json.loads(generation.read_text()) if generation.is_file() else {}
    return template.is_file() and asks_to_think(template.read_text()), rules.get("max_new_tokens")


def write_rules(
    model: Path, *, think: bool, max_new_tokens: int, never: Sequence[int], window_rule: Rule, max_audio_s: float
) -> None:
    """Into the files of a saved model: the template that asks to think, how answers are generated, what is heard.

    `max_audio_s`: what the context has room for, and the ears take.
    """
    template, generation = model / "chat_template.jinja", model / "generation_config.json"
    if think:
        write_atomic(template, answering_template(template.read_text()))
    rules = json.loads(generation.read_text()) if generation.is_file() else {}
    rules |= {
        "do_sample": False,
        "temperature": 0.0,
        "max_new_tokens": max_new_tokens,
        "suppress_tokens": sorted({*(rules.get("suppress_tokens") or ()), *never}),
    }
    write_atomic(generation, json.dumps(rules, indent=2, sort_keys=True) + "\n")
    config = model / "config.json"
    heard = {RULE_KEY: {"rule": window_rule, "max_audio_s": max_audio_s}}
    write_atomic(config, json.dumps(json.loads(config.read_text()) | heard, indent=2, sort_keys=True) + "\n")
