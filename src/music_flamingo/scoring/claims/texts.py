"""Read every claim of a text: all readers, one after another, and what none of them accounts for."""

import re
from functools import lru_cache

from music_flamingo.scoring.claims.base import SpokenClaim
from music_flamingo.scoring.claims.chord_lengths import read_chord_lengths
from music_flamingo.scoring.claims.chord_lists import read_symbols
from music_flamingo.scoring.claims.degrees import read_degrees
from music_flamingo.scoring.claims.derived import read_derived
from music_flamingo.scoring.claims.events import read_events
from music_flamingo.scoring.claims.figures import read_figures
from music_flamingo.scoring.claims.form import read_form
from music_flamingo.scoring.claims.harmony import read_chords
from music_flamingo.scoring.claims.keys import read_keys
from music_flamingo.scoring.claims.lettered import with_sections
from music_flamingo.scoring.claims.lines import read_how_often
from music_flamingo.scoring.claims.meter import read_meter
from music_flamingo.scoring.claims.players import read_players
from music_flamingo.scoring.claims.quantified import read_quantified
from music_flamingo.scoring.claims.rates import read_rates
from music_flamingo.scoring.claims.relations import read_relations
from music_flamingo.scoring.claims.sequences import read_sequences
from music_flamingo.scoring.claims.shares import read_shares
from music_flamingo.scoring.claims.signatures import read_signatures
from music_flamingo.scoring.claims.sounding import read_sounding
from music_flamingo.scoring.claims.sung import read_sung, without_quotes
from music_flamingo.scoring.claims.tempo import read_tempo
from music_flamingo.scoring.claims.times import read_times
from music_flamingo.scoring.claims.triads import read_triads
from music_flamingo.scoring.claims.wording import plain

_CONTRAST = re.compile(r"\b(?:Unlike|In contrast to|As opposed to) [^,.;]{3,48}, ")
"""What a text says of other music."""
_READERS = (
    read_tempo,
    read_rates,
    read_meter,
    read_keys,
    read_signatures,
    read_degrees,
    read_chords,
    read_form,
    read_events,
    read_sounding,
    read_derived,
    read_times,
    read_players,
    read_triads,
    read_chord_lengths,
    read_quantified,
    read_shares,
    read_sequences,
)


@lru_cache(maxsize=65536)
def read_claims(text: str) -> tuple[SpokenClaim, ...]:
    """Read every claim of a text; what it quotes are words of a song."""
    claims, bare = known_claims(text), with_sections(without_quotes(plain(text)))
    symbols = read_symbols(bare, " ".join(claim.said for claim in claims))
    return (*claims, *symbols, *read_figures(bare, claims), *read_relations(bare, claims))


@lru_cache(maxsize=1024)
def known_claims(text: str) -> tuple[SpokenClaim, ...]:
    """Read the claims of a text but for figures that nothing accounts for: a question may say what they count."""
    quoted = plain(text)
    bare = with_sections(_CONTRAST.sub("", without_quotes(quoted)))
    claims = [claim for read in _READERS for claim in read(bare)]
    return (*claims, *read_sung(bare, quoted), *read_how_often(quoted))
