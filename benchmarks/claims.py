"""How many false statements are rejected, and how many true ones kept? Generated from facts, said in many wordings.

    python benchmarks/claims.py

Every wording is said of every value: of the measured one (true) and of others (false). `developed` are the wordings
that the readers were written with; `held_out` were written afterwards, and no reader was changed on their account.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from music_flamingo.quality.claims import first_reason
from music_flamingo.records import Facts
from music_flamingo.records.facts import Beats, Chords, Dynamics, Key, Sections, Segment, Sound, Tempo
from music_flamingo.scoring.claims import judge, read_claims

ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["x", "x", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
NOTES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
GERMAN = ("C", "Des", "D", "Es", "E", "F", "Fis", "G", "As", "A", "B", "H")
FRENCH = ("do", "ré bémol", "ré", "mi bémol", "mi", "fa", "fa dièse", "sol", "la bémol", "la", "si bémol", "si")
SPANISH = ("do", "re bemol", "re", "mi bemol", "mi", "fa", "fa sostenido", "sol", "la bemol", "la", "si bemol", "si")
ITALIAN = (
    "do",
    "re bemolle",
    "re",
    "mi bemolle",
    "mi",
    "fa",
    "fa diesis",
    "sol",
    "la bemolle",
    "la",
    "si bemolle",
    "si",
)


def in_words(number: int) -> str:
    """Spell a number below 1,000."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")
    return f"{ONES[number // 100]} hundred" + (f" and {in_words(number % 100)}" if number % 100 else "")


def key_words(key: tuple[int, str]) -> dict[str, str]:
    """Name a key in five languages and two short forms."""
    note, is_minor = key[0], key[1] == "minor"
    english = NOTES[note].replace("b", " flat") if len(NOTES[note]) > 1 else NOTES[note]
    return {
        "k": f"{NOTES[note]} {key[1]}",
        "en": f"{english.replace('#', ' sharp')} {key[1]}",
        "de": f"{GERMAN[note].lower()}-Moll" if is_minor else f"{GERMAN[note]}-Dur",
        "fr": f"{FRENCH[note]} {'mineur' if is_minor else 'majeur'}",
        "es": f"{SPANISH[note]} {'menor' if is_minor else 'mayor'}",
        "it": f"{ITALIAN[note]} {'minore' if is_minor else 'maggiore'}",
        "short": f"{NOTES[note]}m" if is_minor else NOTES[note],
    }


METERS = {
    3: {"sig": "3/4", "say": "three-four", "cls": "triple", "n": "three", "d": "3"},
    4: {"sig": "4/4", "say": "four-four", "cls": "quadruple", "n": "four", "d": "4"},
    5: {"sig": "5/4", "say": "five-four", "cls": "odd", "n": "five", "d": "5"},
}
Fill = Callable[[Any], dict[str, str]]


@dataclass(frozen=True)
class Topic:
    """Values of one fact, how they are filled in, and the sentences that say them."""

    name: str
    values: tuple[Any, ...]
    fill: Fill
    developed: tuple[str, ...]
    held_out: tuple[str, ...]


def _tempo(bpm: int) -> dict[str, str]:
    return {"n": str(bpm), "w": in_words(bpm), "lo": str(bpm - 3), "hi": str(bpm + 3)}


def _count(number: int) -> dict[str, str]:
    return {"n": str(number), "w": in_words(number)}


TOPICS = (
    Topic(
        "tempo", (63, 78, 97, 118, 141, 172), _tempo,
        ("The tempo is {n} BPM.", "It runs at about {w} beats per minute.", "A piece at {n} bpm.", "The pulse is {n}.",
         "Roughly {n} beats a minute.", "The tempo lies between {lo} and {hi} BPM.", "At {lo}-{hi} bpm it moves along.",
         "It has a tempo of {n}.", "BPM: {n}", "The beat is steady at {w} BPM.", "With {w} beats per minute it is played.",
         "♩ = {n}", "Around {w} bpm."),
        ("Clocked at {n} BPM, the track flows.", "You would set a metronome to {n}.", "Some {w} beats each minute.",
         "The speed is {n} beats per minute.", "Its tempo sits near {n}.", "An approximate tempo of {w}.",
         "The song moves at approximately {n} b.p.m.", "Tempo: {n}", "{n}bpm throughout.", "It keeps {n} beats/min.",
         "The metronome marking is {n}.", "A {n}-BPM track."),
    ),
    Topic(
        "meter", (3, 4, 5), lambda beats: METERS[beats],
        ("It is in {sig}.", "The time signature is {sig}.", "It is in {say} time.", "There are {n} beats to the bar.",
         "Each bar has {n} beats.", "The music is in {n}.", "It is counted in {n}.", "A {sig} meter.",
         "The piece is written in {say} time.", "{n} beats per measure.", "{sig} time throughout.",
         "With {d} beats in every bar.", "It is in {cls} meter."),
        ("The meter is {sig}.", "A steady {sig} groove.", "Count it in {n}.", "Every measure contains {n} beats.",
         "A {say} rhythm.", "Bars of {n} beats.", "It goes in {n}, clearly.", "The metre is {cls} time.",
         "Written in {sig}, it sways.", "There are {d} pulses in each measure.", "The signature reads {sig}.",
         "A {sig} feel."),
    ),
    Topic(
        "key", ((0, "minor"), (3, "major"), (7, "major"), (6, "minor"), (10, "major"), (9, "minor")), key_words,
        ("It is in {k}.", "The key is {en}.", "The key of {en}.", "Die Tonart ist {de}.", "Das Stück steht in {de}.",
         "La tonalité est {fr}.", "Le morceau est en {fr}.", "La tonalidad es {es}.", "Está en {es}.", "È in {it}.",
         "The key is {short}.", "A song in {en}.", "Key: {short}", "It stays in {k} throughout."),
        ("{k} is the key.", "Everything revolves around {en}.", "The tonality is {k}.", "Ein Lied in {de}.",
         "Ton: {fr}.", "La pieza suena en {es}.", "Tonalità: {it}.", "We hear {en} from start to finish.",
         "It was written in {k}.", "The home key is {en}.", "Played in {k}, it glows.", "The music, in {en}, rests."),
    ),
    Topic(
        "drums", (True, False),
        lambda has: {"d": "There are" if has else "There are no", "p": "with" if has else "without", "v": "plays" if has else "does not play"},
        ("{d} drums.", "{d} kick and snare.", "It is played {p} percussion.", "{d} hi-hats and cymbals.", "A drummer {v}.",
         "Music {p} a drum kit.", "{d} bongos or congas.", "{d} drum beats.", "It goes {p} drums.", "The drum kit {v}.",
         "A groove {p} snare hits.", "{d} cymbals to be heard."),
        ("{d} percussion instruments.", "The track comes {p} a backbeat.", "A drum machine {v}.", "{d} tambourines here.",
         "One hears music {p} drumming.", "{d} shakers.", "An arrangement {p} any drums.", "The percussionist {v}.",
         "{d} toms in it.", "It moves along {p} a kick drum.", "{d} maracas.", "The snare {v}."),
    ),
    Topic(
        "dynamics", ("rising", "falling", "steady"),
        lambda trend: {
            "a": {"rising": "grows louder", "falling": "grows softer", "steady": "keeps the same volume"}[trend],
            "b": {"rising": "a crescendo", "falling": "a diminuendo", "steady": "a constant level"}[trend],
            "c": {"rising": "increases in volume", "falling": "decreases in volume", "steady": "holds a steady volume"}[trend],
        },
        ("It {a}.", "The music {a} to the end.", "One hears {b}.", "There is {b}.", "The piece {c}.", "Over time it {a}.",
         "It {c} slowly.", "The song has {b}.", "From start to end it {a}.", "The track {c}.", "It makes {b}.", "The whole {a}."),
        ("Gradually, it {a}.", "Listen to {b} all the way.", "The performance {c}.", "As it unfolds the music {a}.",
         "The recording {c} overall.", "With {b} it closes.", "Bit by bit everything {a}.", "The playing shows {b}.",
         "The arrangement {c}.", "The sound {a}.", "Its shape is {b}.", "The excerpt {a}."),
    ),
    Topic(
        "bars", (8, 12, 20, 31), _count,
        ("It has {n} bars.", "There are {w} bars.", "{w} measures are heard.", "The recording has {w} bars.", "A piece of {n} bars.",
         "{n} bars in all.", "It spans {w} measures.", "One counts {n} bars.", "Altogether {w} bars.", "The music fills {n} measures.",
         "It lasts for {n} bars.", "{w} bars make the piece."),
        ("The excerpt covers {w} bars.", "{n} measures long.", "In total, {w} bars.", "The tune takes {n} bars.",
         "You can count {w} measures.", "A {n}-bar excerpt.", "It runs over {w} bars.", "Exactly {n} bars.",
         "The clip contains {w} measures.", "It comes to {n} bars.", "All {w} bars are played.", "{w} bars of music."),
    ),
    Topic(
        "duration", (45, 90, 120, 200),
        lambda s: {"s": str(s), "w": in_words(s), "m": {45: "forty-five seconds", 90: "a minute and a half", 120: "two minutes", 200: "three minutes and twenty seconds"}[s], "c": f"{s // 60}:{s % 60:02d}"},
        ("The recording lasts {s} seconds.", "The piece is {m} long.", "It lasts {w} seconds.", "Its length is {m}.",
         "The whole runs for {m}.", "A song with a length of {s} s.", "The track lasts {m}.", "The duration is {s} seconds.",
         "The music takes {m}.", "Total duration: {c}", "It lasts {s} s.", "The clip is {s} seconds long."),
        ("The recording runs for {w} seconds.", "It is {m} in length.", "The song goes on, lasting {m}.", "Duration: {s} s",
         "It spans {m}.", "The excerpt takes {s} seconds.", "The length is about {m}.", "The piece lasts around {s} seconds.",
         "In all the music lasts {m}.", "A track {m} long.", "It is a piece of {m} in duration.", "The running length is {c}."),
    ),
)  # fmt: skip


def facts_of(topic: str, value: Any) -> Facts:
    """Give facts in which one value is as wanted."""
    by: dict[str, Any] = {"tool": "t", "tool_version": "1", "confidence": 0.9}
    beats_per_bar = value if topic == "meter" else 4
    num_bars = value if topic == "bars" else 10
    positions = [k % beats_per_bar + 1 for k in range(num_bars * beats_per_bar)]
    tonic, mode = value if topic == "key" else (0, "major")
    duration_s = float(value) if topic == "duration" else 60.0
    return Facts.model_construct(
        id="t/0", work_id="t", duration_s=duration_s, problems=[], lyrics=None, instruments=None,
        tempo=Tempo(bpm=float(value) if topic == "tempo" else 100.0, **by),
        beats=Beats(beats_s=[0.5 * k for k in range(len(positions))], positions=positions, beats_per_bar=beats_per_bar, **by),
        key=Key(tonic=NOTES[tonic], mode=mode, **by),
        chords=Chords(segments=[Segment(start_s=0, end_s=10, label="C:maj")], **by),
        sections=Sections(segments=[Segment(start_s=0, end_s=10, label="A")], **by),
        dynamics=Dynamics(range_db=3.0, trend=value if topic == "dynamics" else "steady", **by),
        sound=Sound(has_drums=value if topic == "drums" else False, texture="chords", lead_envelope="decaying", **by),
    )  # fmt: skip


def statements(which: str) -> Iterator[tuple[str, str, Facts, bool]]:
    """(topic, text, facts, whether it is true) for `developed` or `held_out` wordings."""
    for topic in TOPICS:
        for value in topic.values:
            facts = facts_of(topic.name, value)
            for said in topic.values:
                for wording in getattr(topic, which):
                    text = wording.format(**topic.fill(said))
                    yield topic.name, text[0].upper() + text[1:], facts, said == value


def verdict(text: str, facts: Facts) -> tuple[bool, bool]:
    """(whether something speaks against a text, whether a fact supports it)."""
    judged = [judge(claim, facts) for claim in read_claims(text)]
    supported = any(j.verdict == "supported" for j in judged if not j.claim.is_place)
    return first_reason(judged, by_ear=False) is not None, supported


def measure(which: str) -> dict[str, Any]:
    """Count false statements rejected and true ones kept, by topic, and list some that were judged wrongly."""
    counts: dict[str, list[int]] = {}
    slips: list[str] = []
    for topic, text, facts, is_true in statements(which):
        against, supported = verdict(text, facts)
        is_right = supported and not against if is_true else against
        row = counts.setdefault(topic, [0, 0, 0, 0])
        row[0 if is_true else 2] += 1
        row[1 if is_true else 3] += is_right
        if not is_right:
            slips.append(f"{topic} {'true, rejected' if is_true else 'false, kept'}: {text}")
    true, kept_true, false, rejected = (sum(column) for column in zip(*counts.values(), strict=True))
    return {
        "true": true, "kept": kept_true / true, "false": false, "rejected": rejected / false,
        "by_topic": {t: {"kept": r[1] / r[0], "rejected": r[3] / r[2]} for t, r in counts.items()},
        "slips": sorted(set(slips)),
    }  # fmt: skip


def main() -> None:
    """Print the shares for both sets of wordings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slips", type=int, default=0, help="how many misjudged statements to print")
    most = parser.parse_args().slips
    for which in ("developed", "held_out"):
        start_s = time.perf_counter()
        found = measure(which)
        slips = found.pop("slips")
        print(json.dumps({"wordings": which, **found, "seconds": round(time.perf_counter() - start_s, 2)}, indent=1))
        print("\n".join(slips[:most]))


if __name__ == "__main__":
    main()
