"""Whether a release's chat template comes to an end: it is rendered in a process with little time and memory.

A chat template is a program. transformers renders it in a sandbox that keeps it from files and code, but not from going
on for ever, nor from doubling a text until the memory is full. What it does with one certain question only is not found
here.

    python -m music_flamingo.serving.template_trial < chat_template.jinja
"""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from music_flamingo.core.errors import CorruptDataError

CPU_S = 1
"""Of the processor; a template takes milliseconds."""
MEMORY_BYTES = 512 * 2**20
"""Address space."""
WAITING_S = 60.0
"""On a busy machine."""
LONG_QUESTION = "a" * 2000
REMEDY = "Fetch the release again, or give it another chat_template.jinja and run the stage `release`."


def require_ending_templates(model: Path) -> None:
    """Raises CorruptDataError for a model folder with a chat template that goes on, or grows, without end."""
    for path, template in _templates(model):
        if not _ends(template):
            raise CorruptDataError(
                f"the chat template in {path} did not come to an end within {CPU_S} s and "
                f"{MEMORY_BYTES // 2**20} MiB: it is not used. {REMEDY}"
            )


def _templates(model: Path) -> Iterator[tuple[Path, str]]:
    """Wherever transformers reads one."""
    for path in sorted(model.rglob("*.jinja")):
        yield path, path.read_text(errors="replace")
    for path in sorted(model.glob("*.json")):
        text = path.read_text(errors="replace")
        found = json.loads(text) if '"chat_template"' in text else None
        kept = found.get("chat_template") if isinstance(found, dict) else None
        for template in kept if isinstance(kept, list) else [kept]:
            if isinstance(template, dict):
                template = template.get("template")
            if isinstance(template, str):
                yield path, template


@lru_cache(maxsize=64)
def _ends(template: str) -> bool:
    command = [sys.executable, "-m", "music_flamingo.serving.template_trial"]
    try:
        done = subprocess.run(command, input=template.encode(), capture_output=True, timeout=WAITING_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode > 0 and b"MemoryError" not in done.stderr:
        raise RuntimeError(f"the trial of a chat template failed: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.returncode == 0


def _try(template: str) -> None:
    """Render a question, a long one, and a conversation."""
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser):
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    sandbox.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: form}
    for messages in _conversations():
        try:
            rendering = sandbox.from_string(template).generate(
                messages=messages, tools=None, documents=None, add_generation_prompt=True, enable_thinking=True
            )
            for _ in rendering:
                pass
        except MemoryError:
            raise
        except Exception:
            continue


def _conversations() -> list[list[dict]]:
    def said(role: str, *parts: dict) -> dict:
        return {"role": role, "content": list(parts)}

    words, sound = {"type": "text", "text": "Are drums heard?"}, {"type": "audio", "audio": None}
    question, answer = said("user", sound, words), said("assistant", {"type": "text", "text": "yes"})
    system = said("system", {"type": "text", "text": "Be brief."})
    long = said("user", sound, {"type": "text", "text": LONG_QUESTION})
    return [[question], [long], [system, *[question, answer] * 15, question]]


def _refuse(message: str) -> None:
    raise ValueError(message)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _try(sys.stdin.buffer.read().decode())
