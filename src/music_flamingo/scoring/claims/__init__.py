"""Claims about music in free texts, read once for checks, rewards and scoring alike, and held against measured facts.

One file a kind of claim. `read_claims` reads a text; `read_answer` reads an answer in the light of its question, where
`140` is a tempo and `C` a key; `judge` says supported, contradicted or unmeasured, and names claim and fact.
"""

from music_flamingo.scoring.claims.base import ClaimJudgement, SpokenClaim, Verdict, judge
from music_flamingo.scoring.claims.keys import keys_in
from music_flamingo.scoring.claims.reader import grants_nothing, read_answer, read_premises
from music_flamingo.scoring.claims.tempo import tempi_in
from music_flamingo.scoring.claims.texts import read_claims
from music_flamingo.scoring.claims.topics import topic_of
from music_flamingo.scoring.claims.wording import plain

__all__ = [
    "ClaimJudgement",
    "SpokenClaim",
    "Verdict",
    "grants_nothing",
    "judge",
    "keys_in",
    "plain",
    "read_answer",
    "read_claims",
    "read_premises",
    "tempi_in",
    "topic_of",
]
