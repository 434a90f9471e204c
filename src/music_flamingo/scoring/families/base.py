"""A family of questions as one object: wording, answers and their claims, the facts it rests on, its difficulty."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from music_flamingo.records import Facts, Truth
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.records.heard import SoundClaim


@dataclass(frozen=True)
class Claim:
    """What a step of a chain says of one answer.

    Short sentences are for a small model that must learn them by heart; full ones for a reader.
    """

    short: str
    full: str
    phrase: str = ""
    """The answer as a composite question names it: `drums`, `a slow beat`. Empty: no question is made of it."""

    in_window: tuple[str, ...] = ()
    """Clauses for the caption of a window, of which a writer chooses one."""
    in_truth: tuple[str, ...] = ()
    """What a structured caption may have for it, where `phrase` alone would be part of its contrary."""
    in_rich: tuple[str, ...] = ()
    """Sentences for the rich caption, of which a writer chooses one."""

    def in_style(self, style: str) -> str:
        """Give the sentence of a chain's style, `short` or `full`."""
        return self.short if style == "short" else self.full


@dataclass(frozen=True)
class Rewording:
    """Another question about a family's percept, a family by its own name: other options, each with its rationale."""

    name: str
    skill: Skill
    type: QuestionType
    wordings: tuple[str, ...]
    """Of which a writer chooses one."""
    answers: Mapping[str, tuple[str, str]]
    """Each answer of the family -> (option, rationale), in the order of the options."""

    @property
    def options(self) -> tuple[str, ...]:
        """The answers, in the order in which they are offered."""
        return tuple(option for option, _ in self.answers.values())


@dataclass(frozen=True)
class Family:
    """One kind of question with a closed set of answers.

    `from_facts` labels training data and `from_truth` grades held-out pieces; the two never mix. Either gives None
    where the question would not be fair, and then it is not asked.
    """

    name: str
    title: str
    """On pages."""
    skill: Skill
    type: QuestionType
    question: str
    claims: Mapping[str, Claim]
    """Each answer, in the order of the options, with what a step says that rests on it."""
    unclear: Claim
    """What a step says once its claim is withdrawn."""
    from_facts: Callable[[Facts], str | None]
    from_truth: Callable[[Truth], str | None]
    rests_on: tuple[str, ...]
    """Of `records.MEASURED`: the answer is as sure as the least sure of them."""
    difficulty: int
    """1 to 5, before anything is known of the piece."""
    category: str
    """Which category of a structured caption the answer speaks of (`rewards.structured.CATEGORIES`)."""
    claim: SoundClaim | None = None
    """The claim of the sound that the answer reads, whose confidence is the answer's; None for other families."""
    reworded: tuple[Rewording, ...] = ()
    """Other questions about the same percept."""
    not_evidence: tuple[str, ...] = ()
    """Families on the sound that say nothing of the answer: its chains pass over them (see `evidence_of`)."""
    tells: tuple[str, ...] = ()
    """Families whose answer is known wherever this one is asked: the two never stand in one composite question."""
    covered_by_drums: bool = False
    """Harder to hear where drums play."""
    covered_by_chords: bool = False
    """Harder to hear where many chords sound."""

    @property
    def options(self) -> tuple[str, ...]:
        """The answers, in the order in which they are offered."""
        return tuple(self.claims)


def yes_no(flag: bool) -> str:
    """Say a fact that is true or false as an answer."""
    return "yes" if flag else "no"
