"""The rich caption: what it is and who plays, how it moves and changes, what is sung, and harmony; from facts alone.

A dimension without facts is left out, and so is what says nothing: a form of one section, a level that stays. Tempo and
key come from the measurements, never from the first captions. No mood is said: none is measured (docs/decisions/185).
"""

import random
from collections import Counter
from collections.abc import Sequence

from music_flamingo.scoring.families import meter_class
from music_flamingo.teachers.payloads import SongFacts, SongPayload, TextReply
from music_flamingo.teachers.scripted.players import SPEAKS, ensemble, sings
from music_flamingo.teachers.scripted.short import LONGEST_PROGRESSION, TRENDS, heard_claims, progression
from music_flamingo.teachers.scripted.words import felt_at, first_words, listed, number, one_of, plural, seconds
from music_flamingo.teachers.theory import (
    ChordSpan,
    KeyName,
    cadence,
    chord_function,
    form_letters,
    form_name,
    harmonic_rhythm,
    is_borrowed,
    roman_numeral,
    tempo_term,
)

QUOTED_WORDS = 8
"""As many of the song's words as are quoted."""
WIDE_RANGE_DB = 14.0
"""From here on soft and loud passages lie far apart; less is what any recording has, and is not spoken of."""
LATE_ENTRY_S = 4.0
"""A voice that sets in later than this is said to."""
SPELLED_SECTIONS = 8
LEAST_OF_A_FORM = 0.1
"""Of the whole: a form with a shorter section, such as a tail of silence, has no name."""
"""More sections are summed up."""
NAMED_CHORDS = 8
"""More are not listed: nobody follows a list of thirty."""
AT_HOME = 0.75
"""Of the opening chords: fewer that belong to the key are more likely misheard than meant, and are not spelled out."""
SPOKEN_OF_FROM_S, SECTION_HARMONIES = 8.0, 4
"""Shorter sections hold too little harmony to tell them apart by it; of others as many chords are named."""


def write_rich_caption(payload: SongPayload, rng: random.Random) -> TextReply:
    """Write the rich caption, a paragraph for each matter of which something is known."""
    facts = payload.facts
    paragraphs = (
        _what_it_is(payload, rng),
        _sound(facts, rng),
        _words(facts, rng),
        _course(facts, rng),
        _theory(facts, rng),
    )
    written = "\n\n".join(" ".join(sentences) for sentences in paragraphs if sentences)
    return TextReply(text=written or "A piece of music of which little is clear.")


def _what_it_is(payload: SongPayload, rng: random.Random) -> list[str]:
    facts = payload.facts
    style = f"{facts.genres[0]} " if facts.genres else ""
    pace = next((f"{c.answer} " for c in payload.closed if c.family == "tempo_class"), "")
    band, singing = ensemble(facts.instruments, facts.has_drums), _singing(facts)
    article = "an" if (pace + style or "p")[0] in "aeiou" else "a"
    opening = f"{article} {pace}{style}piece" if singing is None else f"{article} {pace}{style}song"
    if band:
        opening += f" with {band}"  # others may play that are not named
    text = [f"This is {opening}."] if band or style or pace or singing else []
    if facts.tempo_bpm:
        text.append(_tempo(facts, rng))
    where = []
    if (meter := meter_class(facts.beats_per_bar)) and facts.beats_per_bar:
        where.append(f"in {meter} meter, with {plural(facts.beats_per_bar, 'beat')} to the bar")
    if facts.key:
        where.append(f"in {facts.key}")
    if where:
        text.append(f"It is {listed(where)}.")
    return text


def _tempo(facts: SongFacts, rng: random.Random) -> str:
    assert facts.tempo_bpm is not None
    if facts.also_bpm is None:
        term = tempo_term(facts.tempo_bpm)
        return rng.choice(
            (f"The tempo is {facts.tempo_bpm:.0f} BPM, {term}.", f"It moves at {facts.tempo_bpm:.0f} BPM.")
        )
    felt = felt_at(facts.also_bpm / facts.tempo_bpm)
    return f"The pulse is about {facts.tempo_bpm:.0f} BPM, and may be felt {felt}."


def _singing(facts: SongFacts) -> str | None:
    return sings(facts.has_voice, [s.label for s in facts.voice], facts.singer)


def _sound(facts: SongFacts, rng: random.Random) -> list[str]:
    text = []
    if singing := _singing(facts):
        first_s = min(s.start_s for s in facts.voice)
        entry = f" from {seconds(first_s)} on" if first_s > LATE_ENTRY_S else ""
        text.append(f"{singing[0].upper()}{singing[1:]}{entry}.")
    elif facts.has_voice and facts.voice:
        text.append(f"{SPEAKS.capitalize()} over the music.")
    elif facts.has_voice is False:
        text.append(rng.choice(("It is instrumental.", "No voice is heard.")))
    return text + [one_of(claim.in_rich, rng) for _, claim in heard_claims(facts)]


def _words(facts: SongFacts, rng: random.Random) -> list[str]:
    if not facts.lyrics:
        return []
    language = f" ({facts.language})" if facts.language else ""
    length = "many lines" if facts.lyrics_omitted else plural(len(facts.lyrics), "line")
    text = [f"The words run over {length}{language}."]
    opening = facts.lyrics[0]
    quoted = first_words(opening.label, QUOTED_WORDS)
    text.append(rng.choice((f'They open with "{quoted}".', f'Their first words read "{quoted}".')))
    if facts.lyrics_are_timed:
        text.append(f"They set in at {seconds(opening.start_s)}.")
    return text


def _course(facts: SongFacts, rng: random.Random) -> list[str]:
    """How it changes: sections where there are several, and loudness where it goes somewhere."""
    text = _form(facts, rng) if len({s.label for s in facts.sections}) > 1 else []
    if facts.dynamics_trend in ("rising", "falling"):
        text.append(f"From beginning to end it is {TRENDS[facts.dynamics_trend]}.")
    if facts.dynamics_range_db is not None and facts.dynamics_range_db >= WIDE_RANGE_DB:
        text.append(f"Soft and loud passages lie about {facts.dynamics_range_db:.0f} dB apart.")
    return text


def _form(facts: SongFacts, rng: random.Random) -> list[str]:
    letters = form_letters(facts.sections)
    if len(letters) > SPELLED_SECTIONS:
        return _long_form(facts, letters)
    shortest_s = min(s.end_s - s.start_s for s in facts.sections)
    name = form_name(letters) if shortest_s >= LEAST_OF_A_FORM * facts.duration_s else None
    called = f", a {name} form" if name else ""
    text = [f"The form is {' '.join(letters)}{called}."]
    turns = [f"{letter} at {seconds(s.start_s)}" for letter, s in zip(letters[1:], facts.sections[1:], strict=True)]
    text.append(f"The opening section gives way to {listed(turns)}.")
    if letters[-1] == letters[0] and len(letters) > 2:
        text.append(rng.choice(("The end takes up the beginning.", "The opening section comes back at the end.")))
    return text


def _long_form(facts: SongFacts, letters: list[str]) -> list[str]:
    """Many sections: how many, whether some come back, and where the first ones and the last one begin."""
    kinds = list(dict.fromkeys(letters))
    first = [f"{n} at {seconds(s.start_s)}" for n, s in zip(letters[:SPELLED_SECTIONS], facts.sections, strict=False)]
    returns = [f"{kind} {plural(letters.count(kind), 'time')}" for kind in kinds if letters.count(kind) > 1]
    text = [f"The form has {number(len(letters))} sections{', some of which come back' if returns else ''}."]
    text.append(f"It opens with {listed(first)}, and the last section, {letters[-1]}, sets in at ")
    text[-1] += f"{seconds(facts.sections[-1].start_s)}."
    if returns:
        text.append(f"Heard more than once: {listed(returns)}.")
    return text


def _sections_in_the_key(facts: SongFacts, key: KeyName) -> list[str]:
    """The opening harmonies of each kind of section that is long enough to have some, where several are."""
    sentences, seen = [], set()
    for letter, section in zip(form_letters(facts.sections), facts.sections, strict=True):
        if letter in seen or section.end_s - section.start_s < SPOKEN_OF_FROM_S:
            continue
        inside = [s for s in facts.spans if s.start_s < section.end_s - 0.5 and s.end_s > section.start_s + 0.5]
        numerals = [roman_numeral(s.chord, key) for s in inside[:SECTION_HARMONIES]]
        if len(numerals) > 1 and _at_home(inside[:SECTION_HARMONIES], key):
            seen.add(letter)
            sentences.append(f"Section {letter}, from {seconds(section.start_s)}, moves {' '.join(numerals)}.")
    return sentences if len(sentences) > 1 else []


def _theory(facts: SongFacts, rng: random.Random) -> list[str]:
    key, spans = facts.key_name, facts.spans
    if not key or not spans:
        return []
    symbols = list(dict.fromkeys(s.chord.symbol(key) for s in spans))
    text = [f"The harmony moves through {listed(symbols)}."] if len(symbols) <= NAMED_CHORDS else []
    if progression_is_plain := _at_home(spans[:LONGEST_PROGRESSION], key):
        wording = rng.choice(("In roman numerals the opening reads {}.", "The opening goes {} in roman numerals."))
        text.append(wording.format(" ".join(progression(facts))))
    functions = {chord_function(s.chord, key) for s in spans} - {None}
    if functions == {"tonic", "subdominant", "dominant"}:
        text.append("Tonic, subdominant and dominant all take part.")
    elif functions == {"tonic"}:
        text.append("It hardly leaves the tonic.")
    if closing := cadence([s.chord for s in spans], key):
        text.append(f"The last two harmonies make {'an' if closing == 'authentic' else 'a'} {closing} cadence.")
    if rhythm := harmonic_rhythm(spans, facts.num_bars):
        text.append(f"The harmony changes {rhythm}.")
    if not progression_is_plain:
        return text
    heard = Counter(s.chord.symbol(key) for s in spans if is_borrowed(s.chord, key))
    if borrowed := [symbol for symbol, times in heard.items() if times > 1]:
        text.append(f"Borrowed from the parallel key: {listed(borrowed)}.")
    return text + _sections_in_the_key(facts, key)


def _at_home(spans: Sequence[ChordSpan], key: KeyName) -> bool:
    return sum(chord_function(span.chord, key) is not None for span in spans) >= AT_HOME * len(spans)
