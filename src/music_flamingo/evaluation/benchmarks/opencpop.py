"""Opencpop test set: sung Mandarin, one utterance a clip (Wang et al. 2022).

`official`: errors over characters as words (what papers call its WER), other scripts by word. `strict`: the character
error rate over letters and digits alone; `folded` reads traditional characters as simplified ones. All are corpus rates
by jiwer; an answer that is not there misses them all.
"""

from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.core.lines import lines_of
from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    require_file,
)
from music_flamingo.evaluation.benchmarks.sung import error_rates, named_rate
from music_flamingo.scoring.transcripts import character_words, characters, folded_characters, folds_chinese

QUESTION = "Write down the words that are sung, in Chinese characters, and nothing else."
NUM_FIELDS = 7


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the utterances of the test set with their text."""
    path = require_file(folder, "segments/test.txt", "test.txt")
    audio, items = AudioIndex(folder), []
    for number, line in enumerate(lines_of(path.read_text(encoding="utf-8-sig")), 1):
        fields = line.split("|")
        if len(fields) != NUM_FIELDS:
            raise UserError(f"{path}, line {number}: {len(fields)} fields between `|`, not {NUM_FIELDS}.")
        name, text = fields[0].strip(), fields[1].strip()
        items.append(
            BenchmarkItem(
                id=name,
                audio=(audio.find(f"segments/wavs/{name.removesuffix('.wav')}.wav"),),
                question=QUESTION,
                reference=text,
                groups=(("song", name[:4]),),
                unit=name[:4],
                source_ids=(name,),
            )
        )
    return items


BENCHMARK = Benchmark(
    name="opencpop",
    title="Opencpop (Chinese lyrics)",
    task="transcript",
    source="wenet.org.cn/opencpop (on request), segments/test.txt and segments/wavs/",
    licence="CC BY-NC-ND 4.0",
    citation="Wang et al., Opencpop: A High-Quality Open Source Chinese Popular Song Corpus, Interspeech 2022",
    counts=(206,),
    items=read,
    files=("segments/test.txt", "test.txt"),
    prompt_id="benchmark_open",
    measures=(
        *error_rates(
            character_words,
            "corpus word error rate of the whole output, each Chinese character a word",
            characters,
            "corpus character error rate of the answer after the thoughts, letters and digits alone",
        ),
        named_rate(
            "folded",
            folded_characters,
            "corpus character error rate of the whole output, full-width and traditional characters folded (OpenCC)",
            folds_chinese,
        ),
    ),
)
