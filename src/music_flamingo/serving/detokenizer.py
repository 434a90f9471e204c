"""Incremental detokenizer: text without partial characters, stop strings, thinking separated from the answer.

What a stream has sent can't be taken back, so words that may turn out to be the beginning of a tag or of a stop word
are held until that is known. Joined, the pieces are what `split` gives for the whole text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenizers.decoders import DecodeStream

from music_flamingo.scoring.extract import ANSWER, END_ANSWER, END_THINK, THINK

Kind = Literal["reasoning", "content"]


@dataclass(frozen=True)
class TextDelta:
    """Some more words of the thinking (`reasoning`) or of the answer (`content`)."""

    kind: Kind
    text: str


class Detokenizer:
    """The text of one answer, token by token, up to a stop word."""

    def __init__(self, tokenizer, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer._tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._stop = tuple(stop)
        self._held = ""
        self.text = ""
        """What has been said for certain."""
        self.stopped = False

    def add(self, token: int) -> str:
        """The words that are certain now."""
        return self._release(self._held + (self._stream.step(self._tokenizer, token) or ""))

    def end(self) -> str:
        """What was still held: no more tokens come."""
        said, self._held = self._held, ""
        self.text += said
        return said

    def _release(self, text: str) -> str:
        found = [at for word in self._stop if (at := text.find(word)) >= 0]
        if found:
            self.stopped = True
            said, self._held = text[: min(found)], ""
        else:
            held = max((_overlap(text, word) for word in self._stop), default=0)
            said, self._held = text[: len(text) - held], text[len(text) - held :]
        self.text += said
        return said


class Parts:
    """Sorts words into thinking and answer by their tags. Words in no tags, and in tags out of place, are content."""

    def __init__(self) -> None:
        self._kind: Kind = "content"
        self._tags = [THINK, END_THINK, ANSWER, END_ANSWER]
        self._held = ""
        self._begun = False

    def add(self, text: str) -> list[TextDelta]:
        """The next tag in order opens or closes a part; nothing else does."""
        text, pieces = self._held + text, []
        while self._tags and (at := text.find(self._tags[0])) >= 0 and self._in_place(text[:at]):
            pieces.append(TextDelta(self._kind, text[:at]))
            text = text[at + len(self._tags[0]) :]
            self._kind = "reasoning" if self._tags.pop(0) == THINK else "content"
            self._begun = True
        held = _overlap(text, self._tags[0]) if self._tags else 0
        self._held = text[len(text) - held :]
        pieces.append(TextDelta(self._kind, text[: len(text) - held]))
        return self._told(pieces)

    def end(self) -> list[TextDelta]:
        """Flush what is held back at the end of generation."""
        held, self._held = self._held, ""
        return self._told([TextDelta(self._kind, held)])

    def _in_place(self, before: str) -> bool:
        """The first tag stands at the very beginning, or the words have no form at all."""
        return self._begun or not before.strip()

    def _told(self, pieces: list[TextDelta]) -> list[TextDelta]:
        told = [piece for piece in pieces if piece.text]
        if told and not self._begun and any(piece.text.strip() for piece in told):
            self._tags = []  # it began without a tag: what follows is plain words
        return told


def split(text: str) -> tuple[str | None, str]:
    """(thinking, answer) of a whole text, by the rule of `Parts`. Thinking is None where there was none."""
    parts = Parts()
    pieces = [*parts.add(text), *parts.end()]
    thinking = "".join(piece.text for piece in pieces if piece.kind == "reasoning")
    return thinking.strip() or None, "".join(piece.text for piece in pieces if piece.kind == "content").strip()


def _overlap(text: str, word: str) -> int:
    """How many characters at the end of `text` are the beginning of `word`."""
    for length in range(min(len(text), len(word) - 1), 0, -1):
        if text.endswith(word[:length]):
            return length
    return 0
