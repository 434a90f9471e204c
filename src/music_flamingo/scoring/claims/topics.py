"""What a question asks for, by its wording: the first of these that fits.

The order counts: `how many beats to the bar` asks for a meter, and `how many beats a minute` for a tempo.
"""

import re
from functools import lru_cache

from music_flamingo.scoring.claims.parts import PART
from music_flamingo.scoring.claims.wording import plain

_TOPICS: tuple[tuple[str, str], ...] = (
    ("key", r"^(?:in |to )?(?:what|which) (?:musical |home |main |overall )?(?:key|tonality)\b(?! (?:signature|change|relation))|\bhome (?:chord|harmony|base|tonality)\b"),
    ("times", r"how (?:many times|often)\b"),
    ("signature", r"how many (?:sharps|flats|accidentals)\b"),
    ("count", r"how many (?:different |distinct |separate )?(?:(?P<letter>[A-E]) )?(?P<what>bars|measures|downbeats|sections|parts|chords|triads|harmonies|lines|verses|chorus(?:es)?|refrains|bridges)|of how many (?P<other>sections|parts)"),
    ("meter", r"time signature|met(?:er|re)\b|how many (?:beats|pulses|counts)\b[^?]*\b(?:bar|measure)|(?:pulse|beats?|it) (?:is |are )?grouped|conduct|counted\b|\bin [2-9]\?|what time is it in|what (?:\w+ )?rhythm|beats? per (?:bar|measure)|\bbars?\b[^?]*\bbeats?\b|\bbeats?\b[^?]*\bbars?\b|count in\b|\bbars?\b[^?]*\blike\b|\b(?:twos|threes|fours)\b|wie viele schl|bars counted|taktart|welchem takt|tempos tem|compas\b|mesure\b|battuta|compasso"),
    ("theme", r"\b(?:what|which) (?:\w+ )?(?:picture|image|images|imagery|scene|setting|mood|idea|landscape)\b[^?]*\b(?:words?|lyrics?|text|singer|lines?|verses?|song)\b|\b(?:words?|lyrics?|lines?|text)\b[^?]*\b(?:paint|depict|evoke|conjure|portray)\w*|what (?:are|is|do|does|did) (?:the |these |her |his |its )?(?:words|lyrics?|text|song|singer|verses?|sung|story|being sung|she|he)\b[^?]*\b(?:about|of|say|tell|describe)|(?<!plays the )(?<!play the )\b(?:theme|subject|topic|message|story)\b|lyric_themes"),
    ("language", r"\blanguage\b"),
    ("key", r"third\b[^?]*\bmajor or minor|tonic (?:chord|triad)\b[^?]*\bmajor or minor"),
    ("thickness", r"\btexture\b|\b(?:chords?|harmony|harmonies)\b[^?]*\bor\b[^?]*\b(?:melody|line)\b|\b(?:line|melody)\b[^?]*\bor\b[^?]*\b(?:chords?|texture|several)"),
    ("envelope", r"\bnotes?\b[^?]*\b(?:held|hold|sustain\w*|die|decay\w*|fade|attack)\b"),
    ("words", r"\b(?:what|which) (?:is|are) the (?:refrain|hook)\b|\b(?:quote|recite|give|write|cite)\b[^?]*\b(?:line|lyrics?|words)\b|(?:which|what|first|last|opening|final|closing|repeated) (?!tempo|italian|musical)(?:\w+ )?(?:words?|line|lyrics?|phrase)\b|\b(?:before|after) the (?:line|words)\b|\b(?:first|last) thing (?:she|he|they|the \w+) (?:sings?|says)|\b(?:second|third|fourth|fifth|sixth) line\b"),
    ("extreme", r"\b(?:loudness|volume|level) peak|\b(?:where|which|what|when)\b[^?]*\b(?:loudest|quietest|softest|climax|peak)\b"),
    ("event", r"\bhow much of\b[^?]*\bwhen\b|(?:^|[,;] )(?:(?:un)?till? when|(?:at|by|until|after) (?:what|which) (?:time|point|moment|second|mark)|(?:from )?when|where (?:do|does|did|is|in|on)\b(?![^?]*\b(?:harmony|chords?) (?:go|move|lead)))\b(?![^?]*\b(?:from|recorded|written)\b)|\bat (?:what|which) (?:time|timestamp|point|second|moment|mark)\b|\bhow much time\b|\bhow long\b[^?]*\b(?:before|until|till)\b[^?]*\b(?:enters?|begins?|starts?|comes?|arrives?|appears?|sets? in|sings?)\b|\bhow (?:far|many seconds|long) (?:in\b|into\b|before\b|until\b|after\b)"),
    ("lasts", rf"\b(?:how long|how many seconds|length|duration)\b[^?]*\b(?:{PART}|chord|triad|harmony)\b"),
    ("part", r"\bwhich (?:part |section |one |1 )?(?:is|lasts|was|takes)(?: the)? (?:longer|shorter|longest|shortest)\b[^?]*\b(?:verse|chorus|section|part|intro|outro|bridge)|\b(?:section|part)s? (?:comes|is|stands) (?:second|third|fourth|fifth|sixth)\b|\bsections?\b[^?]*\b(?:most|least) time|\b(?:section|part)\b[^?]*\b(?:different|differs|contrasts|stands out|unique|repeated|returns?|are we|is heard at|plays at|sounds at)\b|\b(?:at|around) [\d:]+[^?]*\b(?:section|part)\b|\b(?:section|part)\b[^?]*\b(?:at|around) [\d:]+|\b(?:longest|shortest|longer|shorter) (?:section|part)|\b(?:which|what)\b(?! (?:chord|key|word|line|instrument|harmony))[^?]*\b(?:section|part|portion|verse|chorus)s?\b[^?]*\b(?:opens?|begins?|starts?|first|ends?|closes?|last|finishes|concludes?|contrasting|long\w*|short\w*|after|follows?|before|next|between)|\b(?:open|begin|start|close|end|finish)(?:es|s)? with a[^?]* or |\b(?:section|part)s?\b[^?]*\b(?:once|twice|times)\b|(?:which|what) letter\b|comes first\b|what (?:follows|precedes|comes (?:right |directly )?(?:after|before|between|next))\b|how does (?:the|this) (?:song|piece|music|track) (?:open|begin|start|close|end|finish)\?"),
    ("tempo", r"\bwie schnell|\bvitesse\b|\bvelocidade?\b|\bvelocita\b|geschwindigkeit|\b(?:lento|rapido|langsam|rapide) (?:o|ou|oder) |tempo|bpm|how many (?:beats|pulses)\b[^?]*\bminute|\b(?:slow|fast|quick)\b[^?]*\bor\b[^?]*\b(?:slow|fast|quick|medium|moderate)|beats (?:per|in a|a|go by in a|pass in a|every|each) minute|metronome|how (?:fast|slow|quick)|pace\b|speed|pulse rate|\bthe pulse\b"),
    ("chords", r"\bchords?\b|harmony"),
    ("key", r"\bkey\b|tonality|tonic|ton(?:al)? cent(?:er|re)|key ?note|home (?:note|key|pitch)|feels like home|scale\b|(?:relative|parallel) (?:major|minor)|mayor o menor|maior ou menor|majeur ou mineur|dur oder moll|maggiore o minore|major or (?:a )?minor|minor or (?:a )?major|\bmode\b|tonart|tonalite|tonalita|tonalidade?|tongeschlecht|\bmodo\b"),
    ("form", r"\bform\b|structure|layout|letters"),
    ("dynamics", r"\b(?:lautstarke|dynamik|volumen|dinamica|intensidade?|intensite|intensita|nuances)\b|\bhow (?:loud|soft|quiet|strong)\b|\b(?:loudness|volume|dynamic(?:s|ally)?|louder|softer|quieter|loudest|quietest|level|intensity|energy)\b"),
    ("length", r"how long (?:is|does|was|lasts) (?:the |this )?(?:whole |entire )?(?:piece|song|music|recording|track|clip|excerpt|tune|it)\b(?! (?:hold|stay|sustain))|(?:duration|length) of the (?:piece|song|music|recording|track|clip|excerpt)|what(?:'s| is) (?:its|the) (?:total )?(?:length|duration)\b|how long does (?:it|this) (?:last|take|run)|running time|how many minutes and seconds\b|how many (?:minutes|seconds) (?:long|does|is|of)\b"),
)  # fmt: skip
_TOPIC = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _TOPICS]
COUNTED = dict(_TOPIC)["count"]
"""What a question for a number counts."""


@lru_cache(maxsize=16384)
def topic_of(question: str) -> str | None:
    """Name what a question asks for, by its wording: `tempo`, `meter`, `key`, `chords`, `count`, `form`."""
    text = plain(question)
    return next((name for name, pattern in _TOPIC if pattern.search(text)), None)
