"""Thinking and answer, parted by their tags. Needs neither vLLM nor PyTorch.

What a stream has sent can't be taken back, so words that may turn out to be the beginning of a tag are held until that
is known. Joined, the pieces are what `split` gives for the whole text.
"""

from dataclasses import dataclass
from typing import Literal

THINK, END_THINK, ANSWER, END_ANSWER = TAGS = ("<think>", "</think>", "<answer>", "</answer>")

Kind = Literal["reasoning", "content"]


@dataclass(frozen=True)
class TextDelta:
    """Some more words of the thinking (`reasoning`) or of the answer (`content`)."""

    kind: Kind
    text: str


class Parts:
    """Sorts words into thinking and answer by their tags, which are in neither.

    After `<think>` words are thinking, after any other tag the answer, whatever the order: no tag reaches a reader.
    """

    def __init__(self, is_tagged: bool = True) -> None:
        """`is_tagged`: False for words that a schema holds, in which a tag is text like any other."""
        self._kind: Kind = "content"
        self._tags = TAGS if is_tagged else ()
        self._held = ""
        self._last, self._gap = "", False

    def add(self, text: str) -> list[TextDelta]:
        """The words that are certain by now."""
        text, pieces = self._held + text, []
        while found := [(at, tag) for tag in self._tags if (at := text.find(tag)) >= 0]:
            at, tag = min(found)
            pieces.append(self._piece(text[:at]))
            text = text[at + len(tag) :]
            self._kind, self._gap = ("reasoning" if tag == THINK else "content"), self._last.strip() != ""
        held = max((overlap(text, tag) for tag in self._tags), default=0)
        self._held = text[len(text) - held :]
        pieces.append(self._piece(text[: len(text) - held]))
        return [piece for piece in pieces if piece.text]

    def end(self) -> list[TextDelta]:
        """Flush what is held back at the end of generation."""
        held, self._held = self._held, ""
        return [self._piece(held)] if held else []

    def _piece(self, text: str) -> TextDelta:
        """Give words; those of the answer that a tag out of place parts from the ones before have a space between."""
        if self._kind == "content" and text:
            if text.strip():
                text, self._gap = (f" {text}" if self._gap and not text[0].isspace() else text), False
            self._last = text[-1]
        return TextDelta(self._kind, text)


def split(text: str, is_tagged: bool = True) -> tuple[str | None, str]:
    """(thinking, answer) of a whole text, by the rule of `Parts`. Thinking is None where there was none."""
    parts = Parts(is_tagged)
    pieces = [*parts.add(text), *parts.end()]
    thinking = "".join(piece.text for piece in pieces if piece.kind == "reasoning")
    return thinking.strip() or None, "".join(piece.text for piece in pieces if piece.kind == "content").strip()


def overlap(text: str, word: str) -> int:
    """How many characters at the end of `text` are the beginning of `word`."""
    for length in range(min(len(text), len(word) - 1), 0, -1):
        if text.endswith(word[:length]):
            return length
    return 0
