"""espeak-ng, from the wheel `espeakng-loader`, by ctypes: a text and a voice to samples and phonemes. GPL-3.0.

The library keeps state from one text to the next (phases, filters, its own random numbers), so that the same text
sounds a little different the second time. Each text is therefore spoken in a child forked from a process in which
nothing was spoken: the same request gives the same samples always.
"""

import ctypes
import os
import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from music_flamingo.core.errors import MissingToolError, UserError

RATE_HZ = 22050
_SYNCHRONOUS = 2
_UTF8 = 1
_IPA = 0x02
_SEPARATOR = "_"
_RATE, _PITCH = 1, 3
_DONT_EXIT = 0x8000
_STRESS = re.compile("[ˈˌ]")
_LENGTH_BYTES = 4


@dataclass(frozen=True)
class Voice:
    """How a text is spoken."""

    language: str
    """espeak's name of the language: `en`, `de`, `fr-fr`, `cmn`."""
    variant: str
    """espeak's name of the speaker: `m1`, `f2`."""
    words_per_minute: int
    pitch: int
    """0 to 100."""
    note_hz: float | None = None
    """Every vowel at this pitch, as in singing; None lets the voice rise and fall."""


@dataclass(frozen=True)
class Speech:
    """Samples and their phonemes."""

    samples: np.ndarray
    """Mono float32 at `RATE_HZ`."""
    phonemes: str
    """IPA without stress marks, a space between any two."""


def version() -> str:
    """espeak-ng's own, `1.52.0`."""
    info = _library().espeak_Info
    info.restype = ctypes.c_char_p
    return str(info(None).decode())


def say(text: str, voice: Voice) -> Speech:
    """Speak a text. Raises UserError for a voice that espeak-ng does not have."""
    reader, writer = os.pipe()
    library = _library()
    child = os.fork()
    if child == 0:
        _speak_and_exit(library, text, voice, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        raise UserError(f"espeak-ng has no voice {_name(voice)!r}. Mend `languages` or `voices` of the spoken source.")
    size = int.from_bytes(data[:_LENGTH_BYTES], "little")
    phonemes = data[_LENGTH_BYTES : _LENGTH_BYTES + size].decode()
    samples = np.frombuffer(data[_LENGTH_BYTES + size :], np.int16).astype(np.float32) / 32768
    return Speech(samples, _plain(phonemes))


def _plain(phonemes: str) -> str:
    return " ".join(_STRESS.sub("", phonemes).replace(_SEPARATOR, " ").split())


def _name(voice: Voice) -> str:
    return f"{voice.language}+{voice.variant}"


@cache
def _library() -> ctypes.CDLL:
    try:
        import espeakng_loader
    except ImportError as error:
        raise MissingToolError(
            "the spoken source needs espeak-ng. Install with: pip install espeakng-loader"
        ) from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    if library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT) != RATE_HZ:
        raise MissingToolError(
            f"espeak-ng does not start with its data in {data.decode()}: install espeakng-loader anew."
        )
    return library


def _speak_and_exit(library: ctypes.CDLL, text: str, voice: Voice, writer: int) -> None:
    """The child's life. It ends here whatever happens: nothing of the parent may run twice."""
    try:
        if library.espeak_SetVoiceByName(_name(voice).encode()) == 0:
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))
            library.espeak_SetParameter(_RATE, voice.words_per_minute, 0)
            library.espeak_SetParameter(_PITCH, voice.pitch, 0)
            if voice.note_hz is not None:
                library.espeak_ng_SetConstF0(round(voice.note_hz))
            phonemes, samples = _phonemes(library, text).encode(), _samples(library, text)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(len(phonemes).to_bytes(_LENGTH_BYTES, "little") + phonemes + samples)
    finally:
        os._exit(0)


def _samples(library: ctypes.CDLL, text: str) -> bytes:
    blocks: list[bytes] = []

    def take(samples: int | None, count: int, events: int | None) -> int:
        if samples and count > 0:
            blocks.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(take)
    library.espeak_SetSynthCallback(callback)
    data = text.encode()
    library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return b"".join(blocks)


def _phonemes(library: ctypes.CDLL, text: str) -> str:
    """Sentence by sentence, as espeak reads."""
    convert = library.espeak_TextToPhonemes
    convert.restype = ctypes.c_char_p
    buffer = ctypes.create_string_buffer(text.encode())
    rest, found = ctypes.c_void_p(ctypes.addressof(buffer)), []
    while rest.value:
        found.append(convert(ctypes.byref(rest), _UTF8, _IPA | (ord(_SEPARATOR) << 8)) or b"")
    return " ".join(part.decode() for part in found)
