"""How many questions a second do the checks take, with claims and without?

    python benchmarks/claims_speed.py [--songs 300] [--verdicts verdicts.json]

The questions are all that the scripted teacher writes of songs that differ in every fact, so that few texts repeat;
each is checked by all rules, and by all but those that read claims. One process; the first sixth of the songs
fills caches and is not counted.
`--verdicts` writes every reason, and those of the statements of `claims.py`, for a comparison before and after a
change.
"""

import argparse
import json
import random
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from claims import statements
from synthetic_skills import ROOT, a_song

from music_flamingo.core.params import load_params, stage_json
from music_flamingo.quality.checks import CHECKS, Song, check_claims, check_senseless, reason_against
from music_flamingo.quality.claims import first_reason
from music_flamingo.records import Example, Facts, Track
from music_flamingo.records.facts import Beats, Lyrics, Sections, Segment, Tempo
from music_flamingo.scoring.claims import judge, read_claims
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.stages.validate import ValidateConfig
from music_flamingo.teachers import open_teacher

WITHOUT = tuple(check for check in CHECKS if check not in (check_claims, check_senseless))
BY = {"tool": "synthetic", "tool_version": "1", "confidence": 0.9}
WORDS = [
    "oh",
    "come",
    "all",
    "ye",
    "merry",
    "night",
    "river",
    "stone",
    "bird",
    "heart",
    "fire",
    "road",
    "home",
    "far",
    "away",
    "love",
    "cold",
    "rain",
]


def a_various_song(number: int) -> tuple[Track, Facts]:
    """Give a song of `synthetic_skills` with a tempo, a length, a form and perhaps words of its own."""
    track, facts = a_song(number)
    rng = random.Random(number)
    bpm = round(rng.uniform(55, 190), 1)
    duration_s = round(rng.uniform(12, 240), 1)
    beats = [round(60 / bpm * k, 3) for k in range(int(duration_s * bpm / 60))]
    bar = facts.beats.beats_per_bar if facts.beats else 4
    cuts = sorted(rng.sample(range(1, int(duration_s)), rng.randint(1, 5)))
    spans = list(zip([0, *cuts], [*cuts, duration_s], strict=True))
    sections = [Segment(start_s=a, end_s=b, label=rng.choice("ABC")) for a, b in spans]
    chords = facts.chords
    if chords is not None:
        ratio = duration_s / chords.segments[-1].end_s
        moved = [
            s.model_copy(update={"start_s": round(s.start_s * ratio, 2), "end_s": round(s.end_s * ratio, 2)})
            for s in chords.segments
        ]
        chords = chords.model_copy(update={"segments": moved})
    lines = [Segment(start_s=a, end_s=b, label=" ".join(rng.choices(WORDS, k=6))) for a, b in spans]
    changed = {
        "duration_s": duration_s, "chords": chords,
        "tempo": Tempo(bpm=bpm, **BY),
        "beats": Beats(beats_s=beats, positions=[k % bar + 1 for k in range(len(beats))], beats_per_bar=bar, **BY),
        "sections": Sections(segments=sections, **BY),
        "lyrics": Lyrics(available=True, lines=lines, language="en", **BY) if number % 2 else None,
    }  # fmt: skip
    return track.model_copy(update={"duration_s": duration_s}), facts.model_copy(update=changed)


def written(num_songs: int) -> list[tuple[Facts, list[Example]]]:
    """All that the scripted teacher writes of so many songs."""
    params = load_params(ROOT / "params.yaml")
    config = SynthesizeConfig.model_validate_json(stage_json(params, "synthesize"))
    teacher = open_teacher(config.teacher)
    songs = (a_various_song(k) for k in range(num_songs))
    return [(facts, write_track(config, teacher, track, facts, [])) for track, facts in songs]


def checked(
    songs: Iterable[tuple[Facts, list[Example]]], checks: tuple, warm_up: int
) -> tuple[list[str | None], float]:
    """(reason of each example, CPU seconds of all songs but the first `warm_up`, which fill the caches of words)."""
    params = load_params(ROOT / "params.yaml")
    limits = ValidateConfig.model_validate_json(stage_json(params, "validate")).limits
    reasons: list[str | None] = []
    start_s = time.process_time()
    for number, (facts, examples) in enumerate(songs):
        if number == warm_up:
            start_s = time.process_time()
        song = Song(facts, facts.duration_s or 0.0, limits)
        reasons += [reason_against(example, song, checks) for example in examples]
    return reasons, time.process_time() - start_s


def in_a_process_of_its_own(
    songs: list[tuple[Facts, list[Example]]], checks: tuple, warm_up: int
) -> tuple[list[str | None], float]:
    """Call `checked` in a fork, whose caches no other measurement has filled."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        return pool.submit(checked, songs, checks, warm_up).result()


def main() -> None:
    """Print questions a second, and write the reasons where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=300)
    parser.add_argument("--verdicts", type=Path)
    options = parser.parse_args()
    songs = written(options.songs)
    warm_up = options.songs // 6
    number = sum(len(examples) for _, examples in songs[warm_up:])
    reasons, seconds = in_a_process_of_its_own(songs, CHECKS, warm_up)
    _, without_s = in_a_process_of_its_own(songs, WITHOUT, warm_up)
    texts = {e.answer for _, examples in songs for e in examples} | {e.rationale for _, x in songs for e in x}
    found = {
        "questions": number, "distinct_texts": len(texts), "with_claims_a_second": round(number / seconds),
        "without_a_second": round(number / without_s), "rejected": sum(r is not None for r in reasons),
    }  # fmt: skip
    print(json.dumps(found))
    if options.verdicts is not None:
        said = [
            first_reason((judge(c, facts) for c in read_claims(text)), by_ear=False)
            for which in ("developed", "held_out")
            for _, text, facts, _ in statements(which)
        ]
        options.verdicts.write_text(json.dumps([reasons, said]))


if __name__ == "__main__":
    main()
