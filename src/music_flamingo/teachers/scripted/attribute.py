"""Questions about sound: drums, texture, articulation, dynamics."""

import random

from music_flamingo.teachers.payloads import QuestionsReply, SongFacts, SongPayload, WrittenQuestion
from music_flamingo.teachers.scripted.asking import asked, audible_of
from music_flamingo.teachers.scripted.words import whole


def write_attribute(payload: SongPayload, rng: random.Random) -> QuestionsReply:
    """Write questions about drums, texture, articulation and dynamics."""
    facts = payload.facts
    shown = [whole(facts)]
    return QuestionsReply(
        questions=[
            *audible_of("attribute", payload, shown),
            *_tone_production(facts, rng),
            *_dynamics(facts, rng),
        ]
    )


def _tone_production(facts: SongFacts, rng: random.Random) -> list[WrittenQuestion]:
    if facts.lead_envelope is None:
        return []
    wording = rng.choice(
        (
            "Is the leading instrument struck or plucked, or is it bowed, blown or an organ?",
            "How is the tone of the leading instrument made: struck or plucked, or bowed, blown or organ?",
        )
    )
    options = ("struck or plucked", "bowed, blown or organ")
    struck = facts.lead_envelope == "decaying"
    rationale = "Its notes die away after the attack." if struck else "Its notes do not die away while they last."
    answer = options[0] if struck else options[1]
    return [asked("tone_production", "technique", wording, answer, rationale, [whole(facts)], options)]


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
    wording = "How wide is the dynamic range, in decibels?"
    rationale = "It is the span between the loud and the quiet moments of the short-term loudness."
    answer = f"{facts.dynamics_range_db:.0f} dB"
    return [trend, asked("dynamic_range", "open", wording, answer, rationale, shown)]
