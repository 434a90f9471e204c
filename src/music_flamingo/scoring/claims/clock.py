"""Times in words and figures: `1:23`, `2 minutes and 5 seconds`, `a minute and a half`, `three quarters of the way`.

One pattern for all readers. A time is a number of seconds, or a fraction of the recording's length.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.gates import has_digit, holds

_N = r"\d+(?:\.\d+)?"
_SECONDS = r"(?:s|secs?|seconds?|segundos|secondes?|sekunden|secondi)\b"
_MINUTES = r"(?:min|mins|minutes?|minutos?|minuten|minuti|minuto)\b"
_DECADE = r"(?!(?:1[5-9]|20)\d0s\b)"
EXACT = (
    r"(?P<clock>\d{1,2}:[0-5]\d)(?![\w:])"
    r"|(?P<of_unit>half|1 half|a half|a quarter|1 quarter|3 quarters)(?: of)?(?: (?:a|1))? (?P<unit>minute|hour)\b"
    rf"|(?P<mixed>{_N}|a) and (?P<mixed_part>a half|a quarter|3 quarters|(?:a|1|2) thirds?) {_MINUTES}"
    rf"|(?P<min>{_N}|a)(?: (?:whole|full|good|entire|little|short|long))? ?{_MINUTES}(?: flat| sharp)?"
    rf"(?:(?:,| and|, and)? (?P<minsec>{_N}) ?{_SECONDS}| and (?P<min_part>a half|a quarter|3 quarters))?"
    rf"|{_DECADE}(?P<sec>{_N}) ?{_SECONDS}"
)
"""A time with its unit."""
FRACTION = (
    r"(?P<midway>half ?way(?: (?:point|mark|through|in))?|(?:the )?mid ?(?:point|way)(?: point)?)"
    r"|(?P<share>half|(?:a|1|2|3|4) (?:third|quarter|fifth)s?)(?: of the)? way(?: (?:through|in|into))?"
)
BARE = rf"(?P<bare>{_N})(?=[.,;!?]|$| (?:and|on|in)\b)"
"""A figure that only a question or a verb makes a time."""
TIME = rf"{EXACT}|{FRACTION}|{BARE}"
SPAN = re.compile(rf"(?<![\w.:/])(?:{EXACT})", re.IGNORECASE)
WHEN = re.compile(rf"(?<![\w.:/])(?:{TIME})", re.IGNORECASE)
TIME_WORDS = ("minute", "half", "way", "midpoint", "mid point")
FRACTION_ROOM = 0.06
"""Of the length, by which `halfway through` may err."""
_PARTS = {"half": 0.5, "quarter": 0.25, "third": 1 / 3, "fifth": 0.2}


@dataclass(frozen=True)
class Moment:
    """A time that a text names: seconds, from the end where they are negative, or a share of the recording."""

    seconds: float
    is_share: bool = False

    def at(self, facts: Facts) -> float | None:
        """Give the time (s) in a recording; None where nobody measured how long it is."""
        if not self.is_share:
            return self.seconds if self.seconds >= 0 or facts.duration_s is None else facts.duration_s + self.seconds
        return None if facts.duration_s is None else self.seconds * facts.duration_s

    def room(self, facts: Facts) -> float:
        """Give the seconds by which a share may err beyond what a plain time may."""
        return FRACTION_ROOM * (facts.duration_s or 0.0) if self.is_share else 0.0


def may_hold_time(text: str) -> bool:
    """Tell whether a time can stand in a text at all."""
    return has_digit(text) or holds(text, TIME_WORDS)


def moment_of(groups: Mapping[str, str | None]) -> Moment:
    """Give the time that a match of `TIME` or `EXACT` holds."""
    if groups.get("midway"):
        return Moment(0.5, is_share=True)
    if share := groups.get("share"):
        number, _, part = share.lower().rpartition(" ")
        return Moment((float(number) if number.isdigit() else 1.0) * _PARTS[part.rstrip("s")], is_share=True)
    return Moment(seconds_of(groups))


def seconds_of(groups: Mapping[str, str | None]) -> float:
    """Give the seconds that a match of `EXACT` holds."""
    if clock := groups.get("clock"):
        minutes, seconds = clock.split(":")
        return 60.0 * int(minutes) + int(seconds)
    if unit := groups.get("unit"):
        return _share(groups.get("of_unit") or "") * (3600.0 if unit.lower() == "hour" else 60.0)
    if mixed := groups.get("mixed"):
        return 60.0 * (_number(mixed) + _share(groups.get("mixed_part") or ""))
    if minutes_said := groups.get("min"):
        rest = float(groups.get("minsec") or 0.0) + 60.0 * _share(groups.get("min_part") or "")
        return 60.0 * _number(minutes_said) + rest
    return float(groups.get("sec") or groups.get("bare") or 0.0)


def _number(said: str) -> float:
    return 1.0 if said.lower() == "a" else float(said)


def _share(said: str) -> float:
    """`a half` -> 0.5, `3 quarters` -> 0.75, nothing -> 0."""
    words = said.lower().split()
    if not words:
        return 0.0
    return (int(words[0]) if words[0].isdigit() else 1) * _PARTS[words[-1].rstrip("s")]
