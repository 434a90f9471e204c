"""RUL-MuchoMusic: MuChoMusic's questions with distractors that text alone cannot rule out (Zang et al. 2025).

`rul_muchomusic` shows all five options at once (the authors' one-shot form). `rul_muchomusic_left_out` is what their
script does by default: each question is asked four times, another distractor left out each time, and the answers vote.
The authors ask for a noise control with every score. Their script shuffles without a seed; here by seed 0.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    BenchmarkMetric,
    Grade,
    Replies,
    permuted,
    read_json,
    require_fields,
    require_file,
    rows_by_id,
    strict_choice,
)
from music_flamingo.scoring.choices import parse_choice
from music_flamingo.scoring.official import rul_choice, rul_right
from music_flamingo.scoring.wrappings import without_thoughts

ORDER_SEED = 0


def read(folder: Path) -> list[BenchmarkItem]:
    """Read the questions with their distractors."""
    path = require_file(folder, "RUL-MuchoMusic.json")
    audio = AudioIndex(folder)
    items = []
    for item_id, row in rows_by_id(read_json(path), path).items():
        require_fields(row, ("question", "correct_answer", "distractors"), path)
        item = BenchmarkItem(
            id=item_id,
            audio=(audio.find(f"audio/{item_id}.mp3"),),
            question=row["question"],
            options=(row["correct_answer"], *row["distractors"]),
            reference=row["correct_answer"],
            answer_index=0,
            source_ids=(item_id,),
            unit=str(row.get("caption") or item_id),
        )
        items.append(permuted(item, ORDER_SEED, "rul_muchomusic"))
    return items


def official(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
    """Grade by RUL-MuchoMusic's published rule."""
    return Grade(float(rul_right(without_thoughts(output), item.reference or "", item.options)))


# --- leave one out ----------------------------------------------------------------------------------------------------


def passes(item: BenchmarkItem) -> list[BenchmarkItem]:
    """The question once for each distractor, which is left out; the options of each pass in an order of their own."""
    places = [place for place, option in enumerate(item.options) if option != item.reference]
    return [_without(item, place, number) for number, place in enumerate(places)]


def _without(item: BenchmarkItem, left_out: int, number: int) -> BenchmarkItem:
    kept = [place for place in range(len(item.options)) if place != left_out]
    options = tuple(item.options[place] for place in kept)
    shown = replace(
        item,
        id=f"{item.id}/{number}",
        options=options,
        order=tuple(item.order[place] for place in kept),
        answer_index=options.index(item.reference or ""),
    )
    return permuted(shown, ORDER_SEED, "left out", *options)


def official_vote(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
    """Grade by the authors' vote: the option that most passes chose, the first of them where several did."""
    chosen = [rul_choice(without_thoughts(said), part.options) for part, said in _parts(item, output)]
    votes = Counter(option for option in chosen if option)
    return Grade(float(bool(votes) and votes.most_common(1)[0][0] == item.reference))


def strict_vote(item: BenchmarkItem, output: str) -> int | None:
    """Place of the option that most passes chose, read strictly; None where none was, or two as often."""
    parts = [(part, parse_choice(said, part.options)) for part, said in _parts(item, output)]
    votes = Counter(part.options[place] for part, place in parts if place is not None).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return None
    return item.options.index(votes[0][0])


def _parts(item: BenchmarkItem, output: str) -> list[tuple[BenchmarkItem, str]]:
    """The passes with what was said in each; of an output that is no list of them, all passes said it."""
    asked = passes(item)
    try:
        said = json.loads(output)
    except ValueError:
        said = output
    if not isinstance(said, list) or len(said) != len(asked):
        said = [output] * len(asked)
    return [(part, str(words)) for part, words in zip(asked, said, strict=True)]


def joined(outputs: Sequence[str]) -> str:
    """One output of several passes: a JSON list; empty where no pass said anything."""
    return json.dumps(list(outputs), ensure_ascii=False) if any(outputs) else ""


def _strict(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
    place = strict_vote(item, output)
    return Grade(float(place is not None and item.options[place] == item.reference))


_SOURCE = "github.com/yongyizang/AreYouReallyListening, RUL-MuchoMusic.json; audio/<id>.mp3"
_CITATION = "Zang et al., Are You Really Listening? Boosting Perceptual Awareness in Music-QA Benchmarks, ISMIR 2025"
_RULE = "last [[X]], else a phrase, else a named letter, else an option inside the text"

BENCHMARK = Benchmark(
    name="rul_muchomusic",
    title="RUL-MuchoMusic",
    task="choice",
    source=_SOURCE,
    licence="MIT (questions and code)",
    citation=_CITATION,
    counts=(1187,),
    items=read,
    files=("RUL-MuchoMusic.json",),
    prompt_id="benchmark_rul",
    measures=(
        BenchmarkMetric("official", "official", official, f"the authors' one-shot script: {_RULE}"),
        strict_choice(),
    ),
)
LEFT_OUT = replace(
    BENCHMARK,
    name="rul_muchomusic_left_out",
    title="RUL-MuchoMusic (leave-one-out vote)",
    measures=(
        BenchmarkMetric(
            "official",
            "official",
            official_vote,
            f"the authors' default: four passes, a distractor left out of each; the most frequent answer ({_RULE})",
        ),
        BenchmarkMetric(
            "strict", "strict", _strict, "the same vote of strictly read passes; a tie is no answer, and wrong"
        ),
    ),
    passes=passes,
    join=joined,
    read_choice=strict_vote,
)
