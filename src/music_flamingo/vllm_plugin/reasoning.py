"""vLLM's reasoning parser `music_flamingo`: thinking in `reasoning`, the answer alone in `content`, tags in neither.

vLLM's own parsers know a mark that ends thinking, and pass on what follows as it is; here the answer has tags too.
"""

from collections.abc import Sequence
from typing import Any

from vllm.reasoning.abs_reasoning_parsers import ReasoningParser

from .tags import END_THINK, TAGS, THINK, Parts, split


class MusicFlamingoReasoning(ReasoningParser):  # type: ignore[misc]
    """One for each answer; a stream's words go through `tags.Parts`."""

    def __init__(self, tokenizer: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(tokenizer, *args, **kwargs)
        self._parts = Parts()

    @property
    def reasoning_start_str(self) -> str:
        """The mark before thinking."""
        return THINK

    @property
    def reasoning_end_str(self) -> str:
        """The mark behind it."""
        return END_THINK

    def adjust_request(self, request: Any) -> Any:
        """An answer that a schema holds is held from its first word, as there is no thinking then."""
        if _is_held(request):
            request.include_reasoning = False
        return request

    def is_reasoning_end(self, input_ids: Sequence[int]) -> bool:
        """Never: every word goes through the parser."""
        return False

    def extract_content_ids(self, input_ids: list[int]) -> list[int]:
        """All of them: there is no end after which the parser is not asked."""
        return input_ids

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """Tokens between `<think>` and the next tag."""
        ids = [self.vocab.get(tag) for tag in TAGS]
        think, number, is_thinking = self.vocab.get(THINK), 0, False
        for token in token_ids:
            is_thinking = token == think if token in ids else is_thinking
            number += is_thinking and token not in ids
        return number

    def extract_reasoning(self, model_output: str, request: Any) -> tuple[str | None, str | None]:
        """(thinking, answer) of a whole answer."""
        return split(model_output, is_tagged=not _is_held(request))

    def extract_reasoning_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
    ) -> Any:
        """The words of a stream that are certain by now; None where there are none."""
        pieces = self._parts.add(delta_text)
        words = {kind: "".join(p.text for p in pieces if p.kind == kind) or None for kind in ("reasoning", "content")}
        return _delta_message()(**words) if any(words.values()) else None

    def get_streaming_fallback_content(self, text: str, request: Any) -> str | None:
        """What was held back when the stream ended, where it belongs to the answer."""
        return "".join(piece.text for piece in self._parts.end() if piece.kind == "content") or None


def _is_held(request: Any) -> bool:
    """Whether the words are held to a form: a schema, or JSON."""
    form = getattr(request, "response_format", None)
    return getattr(request, "structured_outputs", None) is not None or getattr(form, "type", "text") != "text"


def _delta_message() -> Any:
    try:
        from vllm.entrypoints.generate.base.protocol import DeltaMessage  # later versions
    except ImportError:
        from vllm.entrypoints.openai.engine.protocol import DeltaMessage  # 0.24
    return DeltaMessage
