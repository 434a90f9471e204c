"""Incremental detokenizer: text without partial characters, stop strings, thinking separated from the answer.

What a stream has sent can't be taken back, so words that may turn out to be the beginning of a tag or of a stop word
are held until that is known. Joined, the pieces are what `split` gives for the whole text.
"""

from collections.abc import Sequence

from tokenizers.decoders import DecodeStream

from music_flamingo.vllm_plugin.tags import Parts, TextDelta, overlap, split

__all__ = ["Detokenizer", "Parts", "TextDelta", "split"]


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
            held = max((overlap(text, word) for word in self._stop), default=0)
            said, self._held = text[: len(text) - held], text[len(text) - held :]
        self.text += said
        return said
