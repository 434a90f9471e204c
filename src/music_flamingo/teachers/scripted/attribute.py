"""Questions about sound: drums, texture, articulation, dynamics."""

import random

from music_flamingo.teachers.payloads import QuestionsReply, SongFacts, SongPayload, WrittenQuestion
from music_flamingo.teachers.scripted.asking import asked, audible_of, reworded_of
from music_flamingo.teachers.scripted.players import SPEAKS, players, sings
from music_flamingo.teachers.scripted.words import listed, seconds, time_span, whole

SHOWN_VOICES = 4
HARDLY_A_RANGE_DB = 6.0
"""Less is not asked for: there is nothing to hear."""


def write_attribute(payload: SongPayload, rng: random.Random) -> QuestionsReply:
    """Write questions about drums, texture, articulation and dynamics."""
    facts = payload.facts
    shown = [whole(facts)]
    return QuestionsReply(
        questions=[
            *audible_of("attribute", payload, shown),
            *reworded_of("attribute", payload, rng),
            *_players(payload, rng),
            *_dynamics(facts, rng),
        ]
    )


def _players(payload: SongPayload, rng: random.Random) -> list[WrittenQuestion]:
    """Which instruments play, whether somebody sings, which style it is; as far as it is known."""
    facts, shown = payload.facts, [whole(payload.facts)]
    questions = []
    named = [name for name in players(facts.instruments, facts.has_drums) if name != "drums"]
    if named:
        wording = rng.choice(("Name an instrument that plays.", "Which instrument is heard?"))
        where = f"The sound of {named[0]} is heard."
        questions.append(asked("instrument", "open", wording, named[0], where, shown))
    if facts.has_voice is not None:
        singing = sings(facts.has_voice, [s.label for s in facts.voice], facts.singer)
        answer = "yes" if singing else "no"
        because = _voice_reason(facts, singing, named)
        wording = rng.choice(("Does anybody sing, yes or no?", "Is there singing in it, yes or no?"))
        heard = [time_span(s.start_s, s.end_s, s.label) for s in facts.voice[:SHOWN_VOICES]] or shown
        questions.append(asked("singing", "technique", wording, answer, because, heard, ("yes", "no")))
    if facts.genres:
        wording = rng.choice(("Which style of music is this?", "To which genre does this music belong?"))
        because = f"The sound is that of {facts.genres[0]}."
        questions.append(asked("genre", "multiple_choice", wording, facts.genres[0], because, shown))
    return questions


def _voice_reason(facts: SongFacts, singing: str | None, named: list[str]) -> str:
    """Where the voice is heard and what it does; or what is heard instead of one."""
    if singing is None and facts.has_voice:
        return f"{SPEAKS.capitalize()}, and no voice sings."
    if singing is None:
        instead = f"What is heard is the sound of {listed(named)}. " if named else ""
        return f"{instead}No voice is heard."
    said, sung = f"{singing[0].upper()}{singing[1:]}", [s for s in facts.voice if s.label == "singing"]
    where = f"A voice is heard from {seconds(sung[0].start_s)} on. " if sung else ""
    return f"{where}{said}."


def _dynamics(facts: SongFacts, rng: random.Random) -> list[WrittenQuestion]:
    if facts.dynamics_trend is None or facts.dynamics_range_db is None:
        return []
    wording = rng.choice(
        (
            "Is the loudness steady, rising or falling over the piece?",
            "Taken as a whole, is the level steady, rising or falling?",
        )
    )
    rationale = f"The short-term loudness spans {facts.dynamics_range_db:.0f} dB; its trend is {facts.dynamics_trend}."
    options = ("steady", "rising", "falling")
    shown = [whole(facts)]
    trend = asked("dynamics_trend", "multiple_choice", wording, facts.dynamics_trend, rationale, shown, options)
    if facts.dynamics_range_db < HARDLY_A_RANGE_DB:
        return [] if facts.dynamics_trend == "steady" else [trend]
    wording = "How wide is the dynamic range, in decibels?"
    rationale = "It is the span between the loud and the quiet moments of the short-term loudness."
    answer = f"{facts.dynamics_range_db:.0f} dB"
    return [trend, asked("dynamic_range", "open", wording, answer, rationale, shown)]
