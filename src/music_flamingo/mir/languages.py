"""Language of transcribed words: the source's tag, or identified in the text by py3langid (offline, BSD)."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from music_flamingo.core.errors import MissingToolError
from music_flamingo.records import Track
from music_flamingo.records.facts import LanguageSource

MIN_LETTERS = 24
"""A shorter text says too little: `la la la` is every language."""


@cache
def load_identifier() -> Any:
    """Raises MissingToolError where py3langid is not installed."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingToolError(
            "facts.lyrics.language is `text`, which needs py3langid. Install with: pip install py3langid. "
            "Or set facts.lyrics.language to {kind: source}."
        ) from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def recognise_language(text: str, min_confidence: float) -> str | None:
    """ISO 639-1 code (`en`); None where the text is short or the language is less certain than `min_confidence`."""
    if sum(c.isalpha() for c in text) < MIN_LETTERS:
        return None
    language, probability = load_identifier().classify(text)
    return str(language) if probability >= min_confidence else None


@dataclass(frozen=True)
class LanguageRule:
    """Where the language of the words comes from: recognised in their text, or the source's tag."""

    min_text_confidence: float | None
    """Of a language recognised in the text; None for the source's tag."""

    def of(self, text: str, track: Track) -> tuple[str | None, LanguageSource]:
        """The language (None if unknown) and whether the source or the text gave it."""
        if self.min_text_confidence is None:
            return track.language, "source"
        return recognise_language(text, self.min_text_confidence), "text"
