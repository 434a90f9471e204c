"""A claim read in a text, and what the measured facts say of it: supported, contradicted or unmeasured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from music_flamingo.records import Facts

Verdict = Literal["supported", "contradicted", "unmeasured"]
Held = tuple[bool | None, str]
"""(whether the facts bear the claim out, None where nobody measured it; the fact in words)."""
NOT_MEASURED: Held = (None, "nothing measured")


@dataclass(frozen=True, slots=True)
class SpokenClaim:
    """One statement about the music, found in a text."""

    kind: str
    """`tempo`, `key`, `meter`, `chords`, `drums`, ...: what a reason names."""
    said: str
    """The words it was read from."""
    test: Callable[[Facts], Held]
    denied: bool = False
    """The text says that it is not so."""
    is_place: bool = False
    """Only points at a place in time: nothing to support, but it must lie inside the recording."""
    is_guess: bool = False
    """Supports where it holds, and says nothing where it does not."""
    beside: str = ""
    """Words around it of which its test takes account: `the third chord is` before `D major`."""

    def turned(self, denied: bool) -> "SpokenClaim":
        """Give the claim denied once more, or as it stands."""
        return replace(self, denied=self.denied != denied) if denied else self


@dataclass(frozen=True, slots=True)
class ClaimJudgement:
    """What became of a claim, with the fact it was held against."""

    claim: SpokenClaim
    verdict: Verdict
    fact: str

    @property
    def reason(self) -> str:
        """Name claim and fact: `"140 bpm" is said, 103.9 BPM measured`."""
        denied = " is denied" if self.claim.denied else " is said"
        return f'"{self.claim.said.strip()}"{denied}, {self.fact}'


def judge(claim: SpokenClaim, facts: Facts) -> ClaimJudgement:
    """Hold a claim against the facts of its track."""
    holds, fact = claim.test(facts)
    if holds is None:
        return ClaimJudgement(claim, "unmeasured", fact)
    return ClaimJudgement(claim, "supported" if holds != claim.denied else "contradicted", fact)


def unmeasured(kind: str, said: str, denied: bool = False) -> SpokenClaim:
    """Give a claim that no tool of this project measures."""
    return SpokenClaim(kind, said, lambda facts: NOT_MEASURED, denied)


def either_of(claims: Sequence[SpokenClaim]) -> SpokenClaim:
    """Give the claim that at least one of several holds, as a text says that joins them by `or`."""

    def test(facts: Facts) -> Held:
        judged = [judge(claim, facts) for claim in claims]
        right = next((j for j in judged if j.verdict == "supported"), None)
        if right is not None:
            return True, right.fact
        return (None if any(j.verdict == "unmeasured" for j in judged) else False), judged[0].fact

    said = " or ".join(dict.fromkeys(claim.said.strip() for claim in claims))
    return SpokenClaim(claims[0].kind, said, test)
