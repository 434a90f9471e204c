"""The rules of answering as a release's files state them: whatever server reads those answers alike.

- chat_template.jinja asks to think, unless a request says `chat_template_kwargs: {"enable_thinking": false}` or its
  words ask already;
- generation_config.json holds temperature 0, the room for an answer, and the tokens that are never said;
- config.json, under `audio_window`, says what is heard of a recording that is longer than the model hears
  (transformers drops what it does not know from generation_config.json).
"""

import json
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
    "{%- set asked = words if SENTENCE in words else words ~ SENTENCE -%}"
    "{%- else -%}"
    "{%- set said = namespace(words='') -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}{%- set said.words = said.words ~ part['text'] -%}{%- endif -%}"
    "{%- endfor -%}"
    "{%- set asked = message['content'] | list -%}"
    "{%- if SENTENCE not in said.words -%}"
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
    return MARK + _ASKING.replace("SENTENCE", json.dumps(sentence())) + template


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
