"""Wrong options for multiple choice: plausible, and never the right answer by another name."""

import random
from itertools import product

from music_flamingo.teachers.payloads import DistractorsPayload, DistractorsReply
from music_flamingo.teachers.theory import TEMPO_TERMS, KeyName, Mode, name_key, relative_key

CADENCES = ("authentic", "half", "plagal", "deceptive")
MODES: tuple[Mode, ...] = ("major", "minor")
FORMS = ("A B", "A A", "A B A", "A A B", "A B B", "A B C", "A B A B", "A A B A", "A B A C", "A B A C A")

GENRES = ("classical", "jazz", "rock", "electronic", "country", "folk", "blues", "metal", "hip hop", "soul", "ambient")

LONGEST_FORM = max(len(form.split()) for form in FORMS)


def write_distractors(payload: DistractorsPayload, rng: random.Random) -> DistractorsReply:
    """Between `least` and `most` wrong options, best first where there is a best."""
    candidates = _candidates(payload, rng)
    wrong = [c for c in dict.fromkeys(candidates) if c != payload.answer]
    return DistractorsReply(distractors=wrong[: rng.randint(payload.least, payload.most)])


def _candidates(payload: DistractorsPayload, rng: random.Random) -> list[str]:
    if payload.family == "key":
        return _keys(KeyName.parse(payload.answer), rng)
    if payload.family == "cadence":
        return rng.sample(CADENCES, len(CADENCES))
    if payload.family == "tempo_term":
        terms = [term for _, term in TEMPO_TERMS]
        return rng.sample(terms, len(terms))
    if payload.family == "genre":
        return rng.sample(GENRES, len(GENRES))
    if payload.family == "form":
        length = len(payload.answer)
        return sorted(
            [*rng.sample(FORMS, len(FORMS)), *_near_forms(payload.answer.split(), rng)],
            key=lambda form: abs(len(form) - length),
        )
    raise AssertionError(f"no distractors are known for {payload.family!r}")


def _near_forms(letters: list[str], rng: random.Random) -> list[str]:
    """A long form with one letter changed: no form of the list is of its length."""
    if len(letters) <= LONGEST_FORM:
        return []
    near = []
    for place in rng.sample(range(1, len(letters)), LONGEST_FORM):
        other = rng.choice([letter for letter in "ABCD" if letter != letters[place]])
        near.append(" ".join([*letters[:place], other, *letters[place + 1 :]]))
    return near


def _keys(key: KeyName, rng: random.Random) -> list[str]:
    """The related keys first: they share most notes with the right one."""
    parallel = name_key(key.pitch_class, "minor" if key.mode == "major" else "major")
    fifths = [name_key(key.pitch_class + step, key.mode) for step in (7, 5)]
    far = [name_key(tonic, mode) for tonic, mode in product(range(12), MODES)]
    chosen: list[KeyName] = []
    for candidate in (relative_key(key), parallel, *fifths, *rng.sample(far, len(far))):
        if not any(candidate.same(other) for other in (key, *chosen)):
            chosen.append(candidate)
    return [candidate.label for candidate in chosen]
