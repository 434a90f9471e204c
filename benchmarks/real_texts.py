"""The texts that the scripted teacher writes of measured recordings, numbered, to be read one by one.

    python benchmarks/real.py RECORDINGS --keep facts.jsonl
    python benchmarks/real_texts.py facts.jsonl > texts.txt
    python benchmarks/real_texts.py facts.jsonl --seed 2 > texts.txt   another draw

Captions of windows and rich captions, questions and chains, as far as validation keeps them. Facts are as trusted as
params.yaml has it, and chains are those that `reason` keeps of what it would write for a reader (`style: full`).
40 captions, 60 questions and 20 chains, spread over the recordings.
"""

import argparse
import random
from itertools import chain, zip_longest
from pathlib import Path
from typing import TypeVar

from music_flamingo.audio.windows import tile
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.reasoning.writing import Manner, Topic, write_chain
from music_flamingo.records import Example, Facts, Track, trusted
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.stages.captions import CaptionsConfig, CaptionWindow, describe
from music_flamingo.stages.facts import FactsConfig, gated
from music_flamingo.stages.reason import ReasonConfig
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import open_teacher

CAPTIONS, QUESTIONS, CHAINS = 40, 60, 20
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("facts", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    params = load_params(Path("params.yaml"))
    rules = FactsConfig.model_validate_json(stage_json(params, "facts")).trust
    limits = Limits.model_validate(params["validate"]["limits"])
    captions: list[list[str]] = []
    questions: list[list[str]] = []
    chains: list[list[str]] = []
    for line in arguments.facts.read_text().splitlines():
        facts = trusted(gated(Facts.model_validate_json(line), rules))
        assert facts.duration_s is not None
        track = Track.model_construct(
            id=facts.id, work_id=facts.id, duration_s=facts.duration_s, title=None, audio=None, split="test"
        )
        kept, dropped = examples_of(params, track, facts, limits)
        for family, reason in dropped:
            print(f"dropped  {facts.id}  {family}: {reason}")
        long = [f"{facts.id} ({e.family}): {e.answer}" for e in kept if e.type == "caption"]
        draw = f"{facts.id}/{arguments.seed}"
        captions.append([*long[1:], *shuffled(windows_of(params, track, facts), draw), *long[:1]])
        asked = [e for e in kept if e.type != "caption"]
        questions.append([f"{facts.id}: {e.question} -> {e.answer} [{e.rationale}]" for e in shuffled(asked, draw)])
        hard = [e for e in shuffled(asked, f"chain/{draw}") if e.family not in params["reason"]["trivial"]]
        thoughts = [(e, chain_of(params, e, facts, asked)) for e in hard]
        chains.append([f"{facts.id}: {e.question} -> {thought}" for e, thought in thoughts if thought])
    for name, lists, most in (
        ("caption", captions, CAPTIONS),
        ("question", questions, QUESTIONS),
        ("chain", chains, CHAINS),
    ):
        for number, text in enumerate(in_turn(lists)[:most], 1):
            print(f"{name} {number}: {text}")


def examples_of(
    params: dict, track: Track, facts: Facts, limits: Limits
) -> tuple[list[Example], list[tuple[str, str]]]:
    """What the scripted teacher writes and validation keeps, and the rest with its reasons."""
    config = SynthesizeConfig.model_validate_json(stage_json(params, "synthesize"))
    if facts.content and facts.content.kind != "music":
        return [], []
    written = write_track(config, open_teacher(config.teacher), track, facts, [])
    song = Song(facts, facts.duration_s or 0.0, limits)
    verdicts = [(example, reason_against(example, song)) for example in written]
    return [e for e, reason in verdicts if reason is None], [(e.family, reason) for e, reason in verdicts if reason]


def windows_of(params: dict, track: Track, facts: Facts) -> list[str]:
    """The captions of the windows of 30 s."""
    config = CaptionsConfig.model_validate_json(stage_json(params, "captions"))
    cuts = enumerate(tile(facts.duration_s or 0.0, config.window_s, config.shortest_s))
    windows = [CaptionWindow(track, facts, number, start_s, end_s) for number, (start_s, end_s) in cuts]
    teacher = open_teacher(config.teacher)
    written = [describe(config, teacher, window) for window in windows]
    return [f"{facts.id} {c.start_s:.0f}-{c.end_s:.0f} s: {c.text}" for c in written if c.is_ok]


def chain_of(params: dict, example: Example, facts: Facts, asked: list[Example]) -> str | None:
    """The chain of thought that leads to the answer, in sentences for a reader; None where none is kept."""
    reason = ReasonConfig.model_validate_json(stage_json(params, "reason"))
    topic = Topic(example, facts, [e for e in asked if e.family in FAMILIES], {}, "teacher_choice")
    written = write_chain(Manner("full", reason.limits, reason.seed), open_teacher(reason.teacher), topic, None)
    return f"{written.thinking} So: {example.answer}" if written.is_ok else None


def shuffled(items: list[T], seed: str) -> list[T]:
    """In an order of their own for each recording."""
    return random.Random(seed).sample(items, len(items))


def in_turn(lists: list[list[str]]) -> list[str]:
    """One of each list after the other."""
    return [one for one in chain(*zip_longest(*lists)) if one is not None]


if __name__ == "__main__":
    main()
