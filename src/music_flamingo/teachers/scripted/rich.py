"""The rich caption: six paragraphs (sound in numbers, instruments, words, form, theory, mood), each from facts alone.

A dimension without facts is left out. Tempo and key come from the measurements, never from the first captions.
"""

import random

from music_flamingo.scoring.families import meter_class, tempo_class
from music_flamingo.teachers.payloads import SongFacts, SongPayload, TextReply
from music_flamingo.teachers.scripted.short import TRENDS, progression
from music_flamingo.teachers.scripted.words import first_words, listed, number, plural, seconds
from music_flamingo.teachers.theory import (
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
LOUDNESS_WORDS = ((6.0, "narrow"), (14.0, "moderate"), (float("inf"), "wide"))
"""Dynamic range in dB up to which the word holds."""
NAMED_INSTRUMENTS = 5
SPELLED_SECTIONS = 8
"""More sections are summed up."""
SPOKEN_OF_FROM_S, SECTION_HARMONIES = 8.0, 4
"""Shorter sections hold too little harmony to tell them apart by it; of others as many chords are named."""

MOODS: dict[tuple[str | None, str | None], tuple[str, ...]] = {
    ("fast", "major"): ("lively and bright", "cheerful and driven"),
    ("fast", "minor"): ("restless", "urgent and dark"),
    ("medium", "major"): ("easy and open", "friendly and settled"),
    ("medium", "minor"): ("thoughtful", "earnest"),
    ("slow", "major"): ("calm and warm", "peaceful"),
    ("slow", "minor"): ("grave", "sad and inward"),
    (None, "major"): ("bright", "open"),
    (None, "minor"): ("dark", "serious"),
}
"""(tempo class, mode) -> words for the mood: an impression, with its reasons said beside it."""


def write_rich_caption(payload: SongPayload, rng: random.Random) -> TextReply:
    """Write the rich caption: paragraphs on sound, instruments, words, form, theory and mood."""
    facts = payload.facts
    paragraphs = (
        _low_level(facts, rng),
        _instruments(payload, rng),
        _words(facts, rng),
        _form(facts, rng),
        _theory(facts, rng),
        _mood(payload, rng),
    )
    written = "\n\n".join(" ".join(sentences) for sentences in paragraphs if sentences)
    return TextReply(text=written or f"A recording of {seconds(facts.duration_s)}.")


def _low_level(facts: SongFacts, rng: random.Random) -> list[str]:
    text = []
    if facts.tempo_bpm:
        bpm, term = f"{facts.tempo_bpm:.0f} BPM", tempo_term(facts.tempo_bpm)
        text.append(
            rng.choice(
                (f"The pulse runs at {bpm}, {term} in the terms of a metronome.", f"The tempo is {bpm} ({term}).")
            )
        )
    if facts.beats_per_bar:
        meter = meter_class(facts.beats_per_bar)
        counted = f"{plural(facts.beats_per_bar, 'beat')} to the bar"
        text.append(f"It is in {meter} meter, with {counted}." if meter else f"There are {counted}.")
    if facts.key:
        text.append(rng.choice((f"The music is in {facts.key}.", f"The key is {facts.key}.")))
    if facts.dynamics_range_db is not None and facts.dynamics_trend:
        width = next(word for below, word in LOUDNESS_WORDS if facts.dynamics_range_db < below)
        text.append(
            f"The dynamic range is {width}, about {facts.dynamics_range_db:.0f} dB, and the piece is "
            f"{TRENDS[facts.dynamics_trend]} from beginning to end."
        )
    length = f"The recording lasts {seconds(facts.duration_s)}"
    text.append(f"{length} and has {plural(facts.num_bars, 'bar')}." if facts.num_bars else f"{length}.")
    return text


def _instruments(payload: SongPayload, rng: random.Random) -> list[str]:
    facts, text = payload.facts, []
    if facts.texture == "melody":
        text.append(
            rng.choice(("A single line carries the music, without chords beneath it.", "One melody sounds alone."))
        )
    elif facts.texture == "chords":
        text.append(
            rng.choice(("Several notes sound at once, so that chords carry the music.", "The texture is chordal."))
        )
    if facts.lead_envelope == "decaying":
        text.append("The leading instrument has decaying notes: struck or plucked, they fade after each attack.")
    elif facts.lead_envelope == "sustained":
        text.append("The leading instrument has sustained notes: bowed, blown or from an organ, they hold their level.")
    if facts.instruments:
        text.append(f"Heard are {listed(facts.instruments[:NAMED_INSTRUMENTS])}.")
    if facts.has_drums is not None:
        text.append(
            rng.choice(("It plays with drums, which mark the beat.", "A kit plays along, with drums on the beat."))
            if facts.has_drums
            else rng.choice(
                ("There are no drums.", "The beat is carried by the pitches themselves: no drums are heard.")
            )
        )
    if payload.captions and rng.random() < 0.5:
        first = payload.captions[0]
        text.append(f"From {seconds(first.start_s)} to {seconds(first.end_s)}: {first.text}")
    return text


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


def _form(facts: SongFacts, rng: random.Random) -> list[str]:
    if not facts.sections:
        return []
    letters = form_letters(facts.sections)
    if len(letters) == 1:
        return ["It is of one piece: no second section sets in."]
    if len(letters) > SPELLED_SECTIONS:
        return _long_form(facts, letters)
    name = form_name(letters)
    called = f", a {name} form" if name else ""
    text = [f"The form is {' '.join(letters)}{called}, in {plural(len(letters), 'section')}."]
    starts = [f"{letter} at {seconds(s.start_s)}" for letter, s in zip(letters, facts.sections, strict=True)]
    text.append(f"The sections begin as follows: {listed(starts)}.")
    if letters[-1] == letters[0]:
        text.append(rng.choice(("The end takes up the beginning.", "The opening section comes back at the end.")))
    return text


def _long_form(facts: SongFacts, letters: list[str]) -> list[str]:
    """Many sections: how many of which kind, and where the first ones and the last one begin."""
    kinds = list(dict.fromkeys(letters))
    first = [f"{n} at {seconds(s.start_s)}" for n, s in zip(letters[:SPELLED_SECTIONS], facts.sections, strict=False)]
    returns = [f"{kind} {plural(letters.count(kind), 'time')}" for kind in kinds if letters.count(kind) > 1]
    text = [f"The form strings together {number(len(letters))} sections of {plural(len(kinds), 'kind')}."]
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
        if len(numerals) > 1:
            seen.add(letter)
            sentences.append(f"Section {letter}, from {seconds(section.start_s)}, moves {' '.join(numerals)}.")
    return sentences if len(sentences) > 1 else []


def _theory(facts: SongFacts, rng: random.Random) -> list[str]:
    key, spans = facts.key_name, facts.spans
    if not key or not spans:
        return []
    symbols = list(dict.fromkeys(s.chord.symbol(key) for s in spans))
    text = [f"The harmony moves through {plural(len(symbols), 'chord')}: {listed(symbols[:8])}" + _and_more(symbols)]
    text.append(
        rng.choice(("In roman numerals the opening reads {}.", "Counted from the tonic, it begins {}.")).format(
            " ".join(progression(facts))
        )
    )
    functions = {chord_function(s.chord, key) for s in spans} - {None}
    if functions == {"tonic", "subdominant", "dominant"}:
        text.append("Tonic, subdominant and dominant all take part.")
    elif functions == {"tonic"}:
        text.append("It hardly leaves the tonic.")
    if closing := cadence([s.chord for s in spans], key):
        text.append(f"The last two harmonies make {'an' if closing == 'authentic' else 'a'} {closing} cadence.")
    if rhythm := harmonic_rhythm(spans, facts.num_bars):
        text.append(f"The harmony changes {rhythm}.")
    if borrowed := list(dict.fromkeys(s.chord.symbol(key) for s in spans if is_borrowed(s.chord, key))):
        text.append(f"Borrowed from the parallel key: {listed(borrowed)}.")
    return text + _sections_in_the_key(facts, key)


def _and_more(symbols: list[str]) -> str:
    return f" and {number(len(symbols) - 8)} more." if len(symbols) > 8 else "."


def _mood(payload: SongPayload, rng: random.Random) -> list[str]:
    facts, key = payload.facts, payload.facts.key_name
    classes = {c.family for c in payload.closed}
    pace = tempo_class(facts.tempo_bpm) if facts.tempo_bpm and "tempo_class" in classes else None
    colour = key.mode if key else None
    if (pace, colour) not in MOODS:
        return []
    reasons = ([f"the {pace} pulse"] if pace else []) + [f"the {colour} key"]
    verb = "speak" if len(reasons) > 1 else "speaks"
    return [f"The mood is {rng.choice(MOODS[pace, colour])}: {listed(reasons)} {verb} for it."]
