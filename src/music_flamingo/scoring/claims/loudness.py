"""Claims about how loud it is and becomes, how thick it sounds, how notes are made; and what of playing nobody measures."""

import re
from collections.abc import Iterator

from music_flamingo.scoring.claims.base import SpokenClaim
from music_flamingo.scoring.claims.heard import Test, leans, negated, sound, steady_at_most, trend, unknown
from music_flamingo.scoring.claims.wording import is_denied

_SLOWLY = r"(?: (?!from\b)\w+){0,4}?"
_BECOMES = r"(?:grow|get|becom|build|turn|swell|make|go)(?:s|es|e|ing|ts|ting)?"
_LEVEL = r"(?:volume|loudness|intensity|level|dynamics?|dynamic level|sound level|energy|energy level)(?: of (?:the|its|this|her|his) \w+(?: \w+)?)?"
_SOFT = r"(?:soft\w*|quiet\w*|piano|pp|pianissimo|mezzo piano|a whisper|low volume|hushed)"
_LOUD = r"(?:loud\w*|forte|ff|fortissimo|mezzo forte|a roar|high volume|thunderous)"
_LATER = r"(?:end|ending|close|finish|finale|second half|2nd half|last part|later part|final section|last section)"
_EARLIER = r"(?:beginning|start|opening|first half|1st half|first part|introduction|outset)"
_NAME = r"(?:[A-E] )?(?:half|part|section|third|quarter|verse|chorus|bars?|minute|A|B|C|1)"
_LATE_PART = rf"(?:(?:2nd|last|final|closing|later|latter|second) {_NAME}|end(?:ing)?|close|finale)"
_EARLY_PART = rf"(?:(?:1st|first|opening|earlier|former) ?{_NAME}?|beginning|start|opening)"
DYNAMICS: tuple[tuple[str, str, Test], ...] = (
    ("dynamics", rf"(?:ends?|finish(?:es)?|closes?) (?:\w+ )?louder(?: than)?|{_LATE_PART} (?:(?:is|sounds|gets) )?(?:\w+ )?louder than (?:the |in the |its )?{_EARLY_PART}|{_EARLY_PART} (?:(?:is|sounds) )?(?:\w+ )?(?:softer|quieter) than (?:the |its )?{_LATE_PART}|{_LATER} (?:is|sounds|gets|becomes|comes)(?: \w+)? louder|{_EARLIER} (?:is|sounds)(?: \w+)? (?:softer|quieter)|louder (?:at|in|towards?|by|near) (?:the|its) {_LATER}|(?:softer|quieter) (?:at|in|near) (?:the|its) {_EARLIER}|louder than (?:at |in )?(?:the|its) {_EARLIER}|(?:plays?|sings?) (?:ever |more )?louder|(?:closes|ends|finishes) (?:\w+ ){{0,3}}loudest|(?:opens|begins|starts) (?:\w+ ){{0,3}}(?:quietest|softest)", trend("rising")),
    ("dynamics", rf"(?:ends?|finish(?:es)?|closes?) (?:\w+ )?(?:softer|quieter)(?: than)?|{_LATE_PART} (?:(?:is|sounds|gets) )?(?:\w+ )?(?:softer|quieter) than (?:the |in the |its )?{_EARLY_PART}|{_EARLY_PART} (?:(?:is|sounds) )?(?:\w+ )?louder than (?:the |its )?{_LATE_PART}|{_LATER} (?:is|sounds|gets|becomes|comes)(?: \w+)? (?:softer|quieter)|{_EARLIER} (?:is|sounds)(?: \w+)? louder|(?:softer|quieter) (?:at|in|towards?|by|near) (?:the|its) {_LATER}|louder (?:at|in|near) (?:the|its) {_EARLIER}|(?:softer|quieter) than (?:at |in )?(?:the|its) {_EARLIER}|calms? down|(?:plays?|sings?) (?:ever |more )?(?:softer|quieter)|(?:a|the|with a) (?:slow|long|dramatic|gentle|gradual|quick|final|sudden|soft|smooth)? ?fade(?: (?:at|to|into|in)\b)?|(?:closes|ends|finishes) (?:\w+ ){{0,3}}(?:quietest|softest)|(?:opens|begins|starts) (?:\w+ ){{0,3}}loudest", trend("falling")),
    ("dynamics", rf"{_BECOMES}{_SLOWLY} loud(?:er)?|louder and louder|more and more (?:intense|forceful|powerful|loud)|ever louder|progressively louder|gradually louder|crescendo\w*|swell(?:s|ing|ed)?|increas\w+ in {_LEVEL}|{_LEVEL}(?: steadily| gradually| slowly)? (?:rises?|increases?|grows?|builds?|climbs?|mounts?|swells?|surges?|soars?|escalates?|ramps? up|picks? up|gathers?|rockets?|heightens?|strengthens?|goes up|go up|moves? up(?:wards?)?)|rising {_LEVEL}|to a (?:roar|thunder)|(?<!nor ){_SOFT} at first,? (?:and|but|then) (?:\w+ ){{0,2}}{_LOUD}|from {_SOFT} (?:\w+ ){{0,2}}to {_LOUD}|(?:starts?|begins?|opens?)(?: out| off)? (?:\w+ )?{_SOFT},? (?:and|but|then) (?:\w+ ){{0,3}}(?:gains?|loud\w*|ends? {_LOUD}|builds?|grows?|swells?)|{_LEVEL} is (?:rising|increasing|growing)|builds up|build(?:s|ing)? (?:relentlessly|steadily|gradually|slowly|continuously|constantly|inexorably|in intensity)|(?:ever|harder and) (?:harder|stronger|fiercer)|build(?:s|ing)? (?:up )?(?:to|toward|towards) (?:a|an|its|the) (?:\w+ )?(?:climax|fortissimo|peak|finale|finish)|intensif\w+|(?:gain\w*|grow\w*|rise\w*|increas\w*) (?:in )?(?:{_LEVEL}|volume|force|strength|power)|(?:is|sounds|has become) (?:even |much |far |a lot )?louder still|later,? (?:it )?(?:is|sounds) (?:\w+ )?louder", trend("rising")),
    ("dynamics", rf"{_BECOMES}{_SLOWLY} (?:softer|quieter|quiet)|softer and softer|quieter and quieter|ever (?:softer|quieter)|(?:progressively|gradually) (?:softer|quieter)|(?:de|dimin)(?:crescendo|uendo)\w*|fades? (?:out|away|to|into|down)|fading (?:out|away)|fade out|fades|taper\w*|subsid\w+|dwindl\w+|recedes?|{_LEVEL}(?: steadily| gradually| slowly)? (?:falls?|decreases?|drops?|declines?|sinks?|fades?|diminish(?:es)?|wanes?|dwindles?|subsides?|tapers?|shrinks?|ebbs?|lessens?|drains?(?: away)?|seeps? away|peters? out|trails? off|tails? off|slips?|dips?|lets? up|recedes?|weakens?|softens?|abates?|slackens?|goes down|go down|moves? down(?:wards?)?)|decreas\w+ in {_LEVEL}|los(?:es|ing) (?:volume|intensity|power|force|strength)|falling {_LEVEL}|to a (?:hush|whisper|murmur)|(?<!nor ){_LOUD} at first,? (?:and|but|then) (?:\w+ ){{0,2}}{_SOFT}|from {_LOUD} (?:\w+ ){{0,2}}to {_SOFT}|(?:starts?|begins?|opens?)(?: out| off)? (?:\w+ )?{_LOUD},? (?:and|but|then) (?:\w+ ){{0,3}}(?:los(?:es|ing)|soft\w*|quiet\w*|ends? {_SOFT}|fades?|dies)|{_LEVEL} (?:steadily |gradually |slowly )?(?:comes|goes) down|{_LEVEL} is (?:falling|decreasing|sinking)|dies (?:down|away)|dying away|winds? down|softens (?:toward|towards|by|at|until|as|throughout)|thins? out in volume|(?:is|sounds|has become) (?:even |much |far |a lot )?(?:quieter|softer) still|later,? (?:it )?(?:is|sounds) (?:\w+ )?(?:quieter|softer)", trend("falling")),
    ("dynamics", rf"(?:constant|steady|even|unchanging|stable|same|consistent|uniform|static|flat) (?:in )?{_LEVEL}|{_LEVEL}(?: level)? (?:is|are|stays?|remains?|keeps?|holds?)(?: \w+)? (?:put|in place|at one level|even throughout|where it is|the same|constant|steady|even|level|stable|unchanged|flat|consistent|static)|neither (?:rises?|grows?|swells?|increases?)(?: \w+)? nor (?:falls?|fades?|decreases?|shrinks?|drops?)|never (?:changes|varies) in {_LEVEL}|{_LEVEL} (?:never|hardly|barely|scarcely|does not|doesn't|do not|don't) (?:changes?|var(?:ies|y)|moves?|budges?|shifts?|fluctuates?)|(?:as|equally) loud at the (?:end|start)", trend("steady")),
    ("dynamics", rf"(?:sudden(?:ly)?|abrupt(?:ly)?|dramatic(?:ally)?|sharp|wild(?:ly)?|big|huge|extreme|large) (?:\w+ )?(?:drops?|jumps?|surges?|bursts?|shifts?|contrasts?|swings?|changes?|leaps?|falls?|rises?|loud\w*|soft\w*|quiet\w*)(?: (?:in|of) (?:the )?{_LEVEL})?|sforzando|terraced dynamics|dynamic contrasts?|(?:louder|softer|quieter) (?:than|in|at|sections?|passages?|parts?|chorus(?:es)?|verses?|moments?)", steady_at_most),
    ("dynamics", r"(?:ends?|closes?|finish(?:es)?|concludes?) (?:very |rather |quite |on a )?loud(?:ly)?|(?:an? |with )?(?:even |much |far |ever )?(?:louder|stronger) (?:close|end|ending|finish|conclusion)|a loud (?:close|ending|finish)|(?:ends?|closes?|finish(?:es)?) (?:even |much |far )?more (?:loudly|forcefully|powerfully)", leans("rising")),
    ("dynamics", r"(?:ends?|closes?|finish(?:es)?|concludes?) (?:very |rather |quite |on a )?(?:soft|quiet)(?:ly)?|(?:an? |with )?(?:even |much |far |ever )?(?:softer|quieter|gentler) (?:close|end|ending|finish|conclusion)|a (?:soft|quiet) (?:close|ending|finish)|(?:ends?|closes?|finish(?:es)?) (?:even |much |far )?more (?:softly|quietly|gently)", leans("falling")),
    ("dynamics", rf"{_LEVEL}(?: \w+)? (?:changes?|varies|vary|fluctuates?|shifts?|moves?)(?: \w+)? (?:a lot|greatly|considerably|widely|strongly|dramatically|much|markedly|wildly)", negated(trend("steady"))),
    ("dynamics", r"fortissimo|pianissimo|mezzo (?:forte|piano)|forte\b", unknown),
)  # fmt: skip
SOUND: tuple[tuple[str, str, Test], ...] = (
    ("key", r"dorian|phrygian|lydian|mixolydian|locrian|pentatonic|hexatonic|octatonic|whole tone|blues scale|(?:harmonic|melodic|natural) minor scale|chromatic scale|atonal(?:ity)?|bitonal|polytonal|modal (?:jazz|scale|harmony)|microtonal\w*|maqam\w*", unknown),
    ("sound", r"monophonic|monophony|(?:single|lone|solitary) (?:unaccompanied )?(?:melody|line|melodic line|voice line)|(?:solo|unaccompanied) (?:melody|line|melodic line)|1 (?:melody|melodic line)|1 line sounds alone|melody alone|without (?:any )?(?:chords|harmony|accompaniment)|unaccompanied|unharmoni[sz]ed|unison", sound("texture", "melody")),
    ("sound", r"polyphonic|polyphony|homophonic|homophony|chordal|chords (?:sound|carry|accompany|support|underpin)|several notes (?:at once|together|sound)|(?:thick|full|block|rich|dense|lush|strummed|sustained|held|warm|layered) (?:\w+ )?chords|accompanied by (?:\w+ )?chords|multi(?:ple)? voices|harmoni[sz]ed|contrapuntal|counterpoint", sound("texture", "chords")),
    ("sound", r"(?:bowed|blown)(?!,? (?:or|blown|and (?:bowed|blown|plucked|struck)))|sustained (?:notes|tones|chords)|(?:notes|tones|chords) are (?:sustained|held)|long held notes|arco|notes (?:ring on|sustain|are drawn out)", sound("lead_envelope", "sustained")),
    ("sound", r"(?:plucked|struck|strummed|picked|hammered)(?! (?:or|and (?:plucked|struck|bowed|blown)))|pizzicato|decaying (?:notes|tones|chords)|(?:notes|tones|chords) (?:are decaying|decay|die (?:away|out)|fade|ring and fade|are short)|percussive attack|(?:each|every|all|1)(?: (?:note|tone|chord|of them))? (?:decaying|decays|dying away|dies away|fading|fades)(?: away| out)? (?:quickly|rapidly|fast|at once|immediately|soon|shortly)|(?:quickly|rapidly) decaying(?: \w+)? (?:notes|tones|chords)", sound("lead_envelope", "decaying")),
    ("playing", r"(?:(?:a|an|the|instrumental) solos?)(?! (?:\w+ )?(?:line|melody|piano|violin|guitar|flute|instrument|voices?|player|cello|saxophone|instrumental|section))|arpeggi\w+|trills?|trilled|glissand\w+|staccato|legato|tremolo|vibrato|pitch bends?|slides between|palm muted|fingerpick\w*|finger picked|slap bass|ostinato|riffs?|(?:drum|guitar) fills|ornament\w*|grace notes|syncopat\w+|shuffle|swung|swings|polyrhythm\w*|cross rhythm\w*|triplets?|hemiola|off ?beats?(?! (?:is|are) not)|faster and faster|slower and slower|ever (?:faster|slower)|accelerand\w*|ritardand\w*|rallentand\w*|rubato|slow(?:s|ing) down|speed(?:s|ing) up|accelerat\w+|decelerat\w+|tempo changes|changes (?:of )?tempo|half time feel|double time feel", unknown),
    ("tempo", r"(?:slower|faster) than (?!\d)", unknown),
    ("production", r"reverb\w*|distort(?:ed|ion)|overdriv\w+|delay effects?|echo(?:es|ey)?(?: effects?)?|compress(?:ed|ion)|panned|panning|stereo|mono recording|lo fi production|vinyl|hiss|crackle|field recording|recorded live|live (?:recording|performance|audience)|audience|applause|crowd|studio|mix(?:ed|ing)?(?= (?:is|has|sounds|places|down))|mastering|filter sweeps?|sidechain\w*", unknown),
    ("origin", r"\d{2,4}s(?: (?:style|music|era|sound))?|\d{1,2}(?:st|nd|rd|th) century|century|(?:composed|written|performed|sung|recorded|played|produced) by (?!a\b|an\b|the\b|two|several|someone|one)", unknown),
)  # fmt: skip
_TRENDS = re.compile(
    r"\b(?:(?P<rising>augmente|croit|crece|aumenta|cresce|steigt|zunehmend|nimmt (?:\w+ ){0,2}zu|sube|monte|lauter|de plus en plus fort|mas fuerte|piu forte|mais forte|creciente|higher|ris(?:es?|ing)|increas\w+|grow\w*|up(?:wards?)?|climb\w*|louder|stronger|ascending|swell\w*|crescendo|builds?|building)|(?P<falling>diminue|decroit|baisse|disminuye|decrece|baja|diminuisce|cala|sinkt|abnehmend|nimmt (?:\w+ ){0,2}ab|diminui|leiser|de plus en plus (?:doux|faible)|mas (?:suave|bajo|debil)|piu piano|mais (?:suave|baixo|fraco)|lower|fall(?:s|ing)?|decreas\w+|declin\w+|softer|quieter|down(?:wards?)?|shrink\w*|fad\w+|descending|diminuendo|decrescendo)"
    r"|(?P<steady>constante?s?|gleich ?bleibend|gleich|gleichmassig|estable|stabile|costante|no cambia|ne change pas|steady|constant|unchanged|unchanging|same|even|stable|flat|level|neither|consistent))\b",
    re.IGNORECASE,
)


_HARDLY = re.compile(
    r"\b(?:hardly|barely|scarcely|not (?:really|much|at all)|very little|little|not very|minimal\w*)\b", re.IGNORECASE
)
_LINES = re.compile(
    r"\b(?:(?P<melody>(?:single|lone|solo|1|1 melodic) (?:line|melody)|line|melody|monophon\w*)|(?P<chords>chord\w*|harmon\w*|polyphon\w*|homophon\w*|several|full\w*|thick))\b",
    re.IGNORECASE,
)


def answer_texture(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question about the texture: `chords` or `one line`."""
    for match in _LINES.finditer(text):
        assert match.lastgroup is not None, "each branch is named"
        yield SpokenClaim("sound", match[0], sound("texture", match.lastgroup), is_denied(text, *match.span()))


_HELD = re.compile(
    r"\b(?:(?P<sustained>held|hold|sustain\w*|ring on|bowed|blown|stay\w*|full strength)|(?P<decaying>die|dies|dying|decay\w*|fad\w+|short|plucked|struck))\b",
    re.IGNORECASE,
)


def answer_envelope(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question how notes go on: `held` or `they die away`."""
    for match in _HELD.finditer(text):
        assert match.lastgroup is not None, "each branch is named"
        yield SpokenClaim("sound", match[0], sound("lead_envelope", match.lastgroup), is_denied(text, *match.span()))


def answer_dynamics(text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question about loudness: a bare `rising`, `steady` or `hardly` is a claim there."""
    hardly = _HARDLY.search(text)
    if hardly is not None and not _TRENDS.search(text):
        yield SpokenClaim("dynamics", text, trend("steady"))
    for match in _TRENDS.finditer(text):
        assert match.lastgroup is not None, "each branch is named"
        yield SpokenClaim("dynamics", match[0], trend(match.lastgroup), is_denied(text, *match.span()))


_EDGE_ASKED = re.compile(
    r"\b(?:(?P<first>first|opening|beginning|start)|(?P<last>last|final|end|ending|closing))\b", re.IGNORECASE
)
_MOST = re.compile(r"\b(?:the )?(?:(?P<loud>loudest)|(?P<soft>softest|quietest))\b", re.IGNORECASE)


_MORE = re.compile(
    r"\b(?:(?P<loud>louder|stronger|more (?:intense|powerful|forceful))|(?P<soft>softer|quieter|weaker|gentler|calmer))\b",
    re.IGNORECASE,
)
_COMPARES = re.compile(r"\b(?:compared? (?:with|to)|than|differ\w* from|relative to|against|versus)\b", re.IGNORECASE)


def answer_superlative(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read `the loudest` or `louder` as an answer about the first or the last part: it tells how the loudness moves."""
    edge = _EDGE_ASKED.search(question)
    most = _MOST.search(text) or (_MORE.search(text) if _COMPARES.search(question) else None)
    if most is not None and edge is not None:
        rises = bool(most["loud"]) == bool(edge["last"])
        yield SpokenClaim("dynamics", text, trend("rising" if rises else "falling"), is_denied(text, *most.span()))
