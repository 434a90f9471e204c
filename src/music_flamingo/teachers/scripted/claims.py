"""What a step of a chain may claim of the sound: one fixed sentence for each value of each audible family.

Short sentences are for a small model that must learn them by heart; full ones for a reader. Rationales begin with
the short ones, so that every word of a chain is known from MF-Skills.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    short: str
    full: str

    def in_style(self, style: str) -> str:
        return self.short if style == "short" else self.full


CLAIMS: dict[str, dict[str, Claim]] = {
    "drums": {
        "yes": Claim("Drums play.", "A drum kit plays along and marks the beat."),
        "no": Claim("No drums play.", "Only pitched notes sound, and no drum marks the beat."),
    },
    "texture": {
        "melody": Claim("One melody sounds.", "One line sounds alone, with no notes beneath it."),
        "chords": Claim("Chords sound.", "Several notes sound at the same time and form chords."),
    },
    "lead_envelope": {
        "decaying": Claim("Notes are decaying.", "Each note of the lead is loudest at its attack and then dies away."),
        "sustained": Claim("Notes are sustained.", "Each note of the lead is held at its level until it ends."),
    },
    "tempo_class": {
        "slow": Claim("The beat is slow.", "The beats lie far apart, as in an adagio."),
        "medium": Claim("The beat is medium.", "The beats come at a walking pace."),
        "fast": Claim("The beat is fast.", "The beats follow each other quickly, as in an allegro."),
    },
    "meter": {
        "duple": Claim("The meter is duple.", "Accents return after two or four beats."),
        "triple": Claim("The meter is triple.", "Accents return after three beats."),
    },
    "mode": {
        "major": Claim("The third is major.", "The third above the tonic is the wide one, four semitones."),
        "minor": Claim("The third is minor.", "The third above the tonic is the narrow one, three semitones."),
    },
}

UNCLEAR: dict[str, Claim] = {
    "drums": Claim("Drums are unclear.", "Whether a drum plays cannot be told for sure."),
    "texture": Claim("Texture is unclear.", "How many lines sound together cannot be told for sure."),
    "lead_envelope": Claim("Notes are unclear.", "Whether the notes are held cannot be told for sure."),
    "tempo_class": Claim("The beat is unclear.", "Which of the pulses is the beat cannot be told for sure."),
    "meter": Claim("The meter is unclear.", "Where the accents fall cannot be told for sure."),
    "mode": Claim("The third is unclear.", "Which third lies above the tonic cannot be told for sure."),
}
"""What a step says once its claim is withdrawn."""

BY_SENTENCE: dict[str, tuple[str, str]] = {
    text: (family, value)
    for family, values in CLAIMS.items()
    for value, claim in values.items()
    for text in (claim.short, claim.full)
}
"""Sentence -> (family, claimed value)."""
