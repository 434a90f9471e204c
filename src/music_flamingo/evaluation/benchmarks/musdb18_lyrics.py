"""MUSDB18 with its lyrics extension, test songs in English (Schulze-Forster et al. 2021): corpus WER over whole songs.

A lyrics file has a line `start end kind words` for each passage, some begin with `* `; times in seconds or m:ss;
kind a (solo), b (several
voices), c (several, different words) or d (no words). `*` stands for a word that could not be made out, `?` after one
marks doubt: both marks are dropped from the reference.
"""

import re
from pathlib import Path

from music_flamingo.core.errors import MissingInputError, UserError
from music_flamingo.core.lines import lines_of
from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
)
from music_flamingo.evaluation.benchmarks.sung import error_rates, named_rate
from music_flamingo.evaluation.benchmarks.whisper_words import whisper_words
from music_flamingo.scoring.transcripts import alt_eval_words, plain_words, published_words

QUESTION = "Write down the words that are sung, and nothing else."
LYRICS = ("lyrics/test", "test_lyrics", "lyrics", "musdb_lyrics/test", "musdb18_lyrics/test", "test")
"""The last as the archive unpacks into MUSDB18's own folder; a folder counts where it has text files."""
_LINE = re.compile(r"(?:\*\s*)?(?P<start>[\d:.]+)\s+(?P<end>[\d:.]+)\s+(?P<kind>[abcd])(?:\s+(?P<words>.*))?")


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the English test songs with their lyrics."""
    lyrics = next((folder / name for name in LYRICS if any((folder / name).glob("*.txt"))), None)
    if lyrics is None:
        raise MissingInputError(f"{folder} holds none of the folders {', '.join(LYRICS)} with a .txt a song.")
    audio, items = AudioIndex(folder), []
    for path in sorted(lyrics.glob("*.txt")):
        words = song_words(path)
        if words:
            song = path.stem
            stems = AudioIndex(folder / "test" / song)
            mixture = f"test/{song}/{stems.find('mixture.wav')}"  # MUSDB18-HQ has a folder a song
            found = mixture if (folder / mixture).is_file() else audio.find(f"test/{song}.stem.mp4", song)
            items.append(BenchmarkItem(id=song, audio=(found,), question=QUESTION, reference=words, source_ids=(song,)))
    return items


def _text(path: Path) -> str:
    """UTF-8, else cp1252, which some of the published files are in."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def song_words(path: Path) -> str:
    """All words of a song in order. Raises UserError for a line of another form."""
    words = []
    for number, line in enumerate(lines_of(_text(path)), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise UserError(f"{path}, line {number}: {line!r} is not `start end kind words`.")
        if found["kind"] != "d" and found["words"]:
            words.append(found["words"])
    return " ".join(" ".join(words).replace("*", " ").replace("?", " ").split())


BENCHMARK = Benchmark(
    name="musdb18_lyrics",
    title="MUSDB18 (English lyrics)",
    task="transcript",
    source="MUSDB18 or MUSDB18-HQ in test/, its lyrics extension (Zenodo 3989267) in lyrics/test/*.txt",
    licence="audio non-commercial, by its songs; lyrics extension for research",
    citation="Schulze-Forster et al., Phoneme Level Lyrics Alignment and Text-Informed Singing Voice Separation, 2021",
    counts=(45, 46),
    items=read,
    files=tuple(f"{name}/*.txt" for name in LYRICS),
    prompt_id="benchmark_open",
    measures=(
        *error_rates(
            published_words,
            "corpus word error rate of the whole output: lower case, apostrophes and ASCII punctuation removed",
            plain_words,
            "the same of the answer after the thoughts: NFKC, apostrophes kept, all other marks dropped",
        ),
        named_rate(
            "whisper", whisper_words, "the same by Whisper's English normaliser (without its British spellings)"
        ),
        named_rate("alt_eval", alt_eval_words, "the same by the words of alt-eval: contractions split, elisions kept"),
    ),
)
