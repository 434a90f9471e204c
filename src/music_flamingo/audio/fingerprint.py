"""Fingerprints: 32-bit words, about 8 a second, robust to codecs and levels. Two kinds, not comparable.

`chromaprint` is Chromaprint by essentia (AGPL-3.0); `chroma` is the project's own (`chroma_print.py`).
"""

import base64
from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.chroma_print import WORDS_PER_S, chroma_fingerprint
from music_flamingo.audio.licences import CHROMAPRINT
from music_flamingo.core.errors import MissingToolError
from music_flamingo.core.licences import Licence

__all__ = ["WORDS_PER_S", "FingerprintChoice", "FingerprintKind", "fingerprint"]

FingerprintKind = Literal["chromaprint", "chroma"]


class FingerprintChoice(BaseModel):
    """Which kind of fingerprint is computed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: FingerprintKind
    """One for a whole catalogue and for the held-out files it is compared with."""

    @property
    def uses(self) -> tuple[Licence, ...]:
        """Name the tool behind the kind; the project's own needs none."""
        return (CHROMAPRINT,) if self.kind == "chromaprint" else ()


def fingerprint(mono: np.ndarray, rate_hz: int, kind: FingerprintKind = "chromaprint") -> list[int]:
    """Words of a mono recording, each 0 to 2**32 - 1; none for less than about 3 s."""
    return chroma_fingerprint(mono, rate_hz) if kind == "chroma" else _chromaprint(mono, rate_hz)


def _chromaprint(mono: np.ndarray, rate_hz: int) -> list[int]:
    try:
        import essentia
    except ImportError as error:
        raise MissingToolError(
            "ingest.fingerprint is `chromaprint`, which needs essentia. Install with: pip install essentia. "
            "Or set ingest.fingerprint.kind to chroma."
        ) from error
    essentia.log.infoActive = False
    essentia.log.warningActive = False
    from essentia.standard import Chromaprinter

    return decompress(Chromaprinter(sampleRate=rate_hz)(np.ascontiguousarray(mono, dtype=np.float32)))


def decompress(text: str) -> list[int]:
    """Chromaprint's compressed form (URL-safe base64) as words.

    Each word is stored as the set bits of its XOR with the word before: 3-bit steps from one set bit to the next, 0
    ending the word, 7 meaning that a 5-bit remainder follows after all steps.
    """
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(data) < 4:
        return []
    count = int.from_bytes(data[1:4], "big")
    steps: list[int] = []
    ended = 0
    bits = np.unpackbits(np.frombuffer(data[4:], np.uint8), bitorder="little")
    reader = _chunks(bits, 3)
    while ended < count:
        steps.append(next(reader))
        ended += steps[-1] == 0
    rest = _chunks(bits[-(-len(steps) * 3 // 8) * 8 :], 5)
    words: list[int] = []
    word, bit = 0, 0
    for step in steps:
        if step == 0:
            words.append(word ^ (words[-1] if words else 0))
            word, bit = 0, 0
            continue
        bit += step + (next(rest) if step == 7 else 0)
        word |= 1 << (bit - 1)
    return words


def _chunks(bits: np.ndarray, width: int) -> Iterator[int]:
    for start in range(0, len(bits) - width + 1, width):
        yield int(bits[start : start + width] @ (1 << np.arange(width)))
