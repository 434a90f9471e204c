"""What a chain in full sentences says before its answer: the facts from which the answer follows, one a sentence.

A family that rests on one fact alone (is a drum heard, when does the second section begin) has nothing to reason from:
its chain is a single sentence, which `reason` does not keep.
"""

from collections.abc import Callable, Mapping

from music_flamingo.scoring.families import FAMILIES
from music_flamingo.teachers.payloads import ChainPayload, SongFacts
from music_flamingo.teachers.scripted.comparative import HALVES, ORDINALS, changes_by_half, louder_of
from music_flamingo.teachers.scripted.temporal import runs_at
from music_flamingo.teachers.scripted.words import listed, plural, seconds
from music_flamingo.teachers.theory import Chord, KeyName, form_letters, is_borrowed

SHOWN_DOWNBEATS = 3
SHOWN_BORROWED = 3
MOST_CHORDS_LISTED = 6


def reasons_of(payload: ChainPayload) -> list[str]:
    """Give the sentences that lead to the answer; empty where the family has none of its own or a fact is missing."""
    find = _REASONS.get(payload.family)
    return find(payload.facts) if find else []


def _tempo_class(facts: SongFacts) -> list[str]:
    if facts.tempo_bpm is None or not facts.has_drums:
        return []
    marked = FAMILIES["drums"].claims["yes"].full
    return [marked, runs_at(facts.tempo_bpm)]


def _meter(facts: SongFacts) -> list[str]:
    shown = facts.downbeats_s[:SHOWN_DOWNBEATS]
    if not facts.beats_per_bar or len(shown) < 2:
        return []
    counted = plural(facts.beats_per_bar, "beat")
    return [
        f"Downbeats fall at {listed([seconds(t) for t in shown])}.",
        f"From one downbeat to the next there are {counted}.",
    ]


def _mode(facts: SongFacts) -> list[str]:
    """The chord on the tonic, where it is heard with the third that the key has."""
    key = facts.key_name
    if key is None:
        return []
    triad = "maj" if key.mode == "major" else "min"
    home = next((s for s in facts.spans if s.chord.harmony == (key.pitch_class, triad)), None)
    if home is None:
        return []
    symbol, where = home.chord.symbol(key), f"from {seconds(home.start_s)} to {seconds(home.end_s)}"
    return [f"The tonic is {key.tonic}.", f"The chord on it, {symbol}, sounds {where}."]


def _modal_mixture(facts: SongFacts) -> list[str]:
    """The chords that the parallel key lends, where it lends any; else all chords, where they are few."""
    key = facts.key_name
    if key is None:
        return []
    parallel = KeyName(key.tonic, "minor" if key.mode == "major" else "major")
    borrowed = [s for s in facts.spans if is_borrowed(s.chord, key)]
    first = {s.chord.symbol(key): s for s in reversed(borrowed or facts.spans)}
    shown = sorted(first.items(), key=lambda item: item[1].start_s)
    if borrowed:
        where = [f"{symbol} at {seconds(span.start_s)}" for symbol, span in shown[:SHOWN_BORROWED]]
        chords = f"The chord {where[0]} belongs" if len(where) == 1 else f"The chords {listed(where)} belong"
        return [f"The key is {key.label}.", f"{chords} to {parallel.label}."]
    if not 1 < len(shown) <= MOST_CHORDS_LISTED:
        return []
    return [f"The key is {key.label}.", f"The chords heard are {listed([symbol for symbol, _ in shown])}."]


def _num_chords(facts: SongFacts) -> list[str]:
    """How often the harmony changes, and whether that brings anything back."""
    triads = dict.fromkeys(Chord(*s.chord.harmony, seventh="").symbol(facts.key_name) for s in facts.spans)
    if len(triads) < 2:
        return []
    returns = "No triad comes back" if len(triads) == len(facts.spans) else "Some triads come back"
    changes = plural(len(facts.spans) - 1, "time")
    return [f"The harmony changes {changes}.", f"{returns}: the triads heard are {listed([*triads])}."]


def _busier_half(facts: SongFacts) -> list[str]:
    """How often the harmony changes in each half."""
    before, after = changes_by_half(facts)
    return [
        f"Up to {seconds(facts.duration_s / 2)} the harmony changes {plural(before, 'time')}.",
        f"From there on it changes {plural(after, 'time')}.",
    ]


def _leading_half(facts: SongFacts) -> list[str]:
    louder = louder_of(facts)
    if louder not in HALVES[:2]:
        return []
    return [f"The loudness is {facts.dynamics_trend}, so the {louder} is louder.", *_busier_half(facts)]


def _same_outer_chords(facts: SongFacts) -> list[str]:
    if not facts.spans:
        return []
    first, last = (facts.spans[place].chord.symbol(facts.key_name) for place in (0, -1))
    return [f"The music begins on the chord {first}.", f"It ends on the chord {last}."]


def _opening_returns(facts: SongFacts) -> list[str]:
    if not facts.sections:
        return []
    letters, last = form_letters(facts.sections), facts.sections[-1]
    alike = "sounds like the first" if letters[-1] == letters[0] else "sounds unlike the first"
    return [
        f"The first section ends at {seconds(facts.sections[0].end_s)}.",
        f"The last section, from {seconds(last.start_s)} on, {alike}.",
    ]


def _longest_section(facts: SongFacts) -> list[str]:
    """How long the two longest are, from where they begin and end."""
    lengths = sorted(((s.end_s - s.start_s, place) for place, s in enumerate(facts.sections)), reverse=True)[:2]
    if len(lengths) < 2:
        return []
    spans = [
        f"{ORDINALS[place].capitalize()} section, from {seconds(facts.sections[place].start_s)}"
        f" to {seconds(facts.sections[place].end_s)}"
        for _, place in lengths
    ]
    return [
        f"{spans[0]}, lasts {seconds(lengths[0][0])}.",
        f"{spans[1]}, is the next longest: {seconds(lengths[1][0])}.",
    ]


def _key_relation(facts: SongFacts) -> list[str]:
    if not facts.key_changes:
        return []
    first, last = facts.key_changes[0], facts.key_changes[-1]
    return [f"The music begins in {first.label}.", f"It ends in {last.label}, from {seconds(last.start_s)} on."]


_REASONS: Mapping[str, Callable[[SongFacts], list[str]]] = {
    "tempo_class": _tempo_class,
    "meter": _meter,
    "mode": _mode,
    "modal_mixture": _modal_mixture,
    "num_chords": _num_chords,
    "busier_half": _busier_half,
    "leading_half": _leading_half,
    "same_outer_chords": _same_outer_chords,
    "opening_returns": _opening_returns,
    "longest_section": _longest_section,
    "key_relation": _key_relation,
}
"""Family -> what its answer follows from. Other families end with the rationale of their question."""
