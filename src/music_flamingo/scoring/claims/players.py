"""Claims about who plays and sings, which genre it is, where it comes from, how loud and how thick it sounds."""

import re
from collections.abc import Iterator

from music_flamingo.scoring.claims import heard
from music_flamingo.scoring.claims.base import SpokenClaim
from music_flamingo.scoring.claims.gates import WordScanner, holds
from music_flamingo.scoring.claims.loudness import DYNAMICS, SOUND
from music_flamingo.scoring.claims.names import DRUMS, GENRES, INSTRUMENTS, PEOPLES
from music_flamingo.scoring.claims.wording import is_denied

_VOICE = r"(?:singers?|voices?|vocals?|vocalists?|singing|lead vocals?)"
_HIS_SINGING = r"(?:voice|vocals?|singing|lyrics|words|phrasing|delivery|timbre|falsetto|melody|vibrato)"
_SINGS = r"(?:sings|sang|is singing|raps|croons|whispers|hums|belts|performs|chants|delivers)"
_KINDS: tuple[tuple[str, str, heard.Test], ...] = (
    ("playing", r"(?:(?:acoustic|electric|bass|classical) )?(?:guitar|drum|sax\w*|piano|bass|violin|organ|keyboard|trumpet|flute|cello|clarinet|harp|fiddle|oboe|trombone|harmonica) solos?", heard.unknown),
    ("drums", r"drumless|percussion free|drum free|beatless", heard.negated(heard.drums)),
    ("drums", DRUMS, heard.drums),
    ("instruments", INSTRUMENTS, heard.unknown),
    ("voice", rf"female|feminine|wom[ae]n(?:'s)?|girls?(?:'s)?|lad(?:y|ies)|songstress|chanteuse|cantante femenina|soprano|mezzo(?: soprano)?|contralto|diva|frau|sangerin|femme|mujer|donna|mulher|femminile|femenina?|feminina?|weiblich\w*|she|her {_HIS_SINGING}", heard.register("female")),
    ("voice", rf"male|masculine|m[ae]n(?:'s)?|boys?(?:'s)?|gentlem[ae]n|guys?|tenor|baritone|bass {_VOICE}|crooners?|mann|sanger|homme|hombre|uomo|homem|maschile|masculin[oa]?|mannlich\w*|he|his {_HIS_SINGING}", heard.register("male")),
    ("voice", r"a ?cappella|cappella|acapella|a capella|unaccompanied voices?", heard.alone),
    ("voice", r"instrumental(?! (?:line|part|colou?r|break|section|passage|bridge|interlude|solo|timbre|texture|introduction|intro|outro))|wordless(?:ly)?|voiceless", heard.negated(heard.voice)),
    ("voice", r"choirs?|choral|chorister|chorus of voices|back(?:ing|up|ground) (?:singers?|vocals?|vocalists?|voices?|choir)|vocal harmon(?:y|ies)|harmony vocals?|group vocals?|call and response|rappers?|rapping|raps|rapped|falsetto|scat\w*|yodel\w*|growl\w*|scream\w*|shout\w*|belt(?:s|ing|ed)|croon(?:s|ing)|auto ?tuned?|spoken word|spoken|speech|narrat(?:es|ed|ing|ion)|whisper\w*|humming|hums|(?:husky|raspy|breathy|gravelly|nasal|child's|children's|childlike|smoky|airy|operatic|powerful|delicate|soaring|deep|high pitched|androgynous|robotic|processed) {_VOICE}".replace("{_VOICE}", _VOICE), heard.voice_of_a_kind),
    ("voice", r"singers?|narrators?|vocal(?:s|ly|ist|ists|isation|ization)?|sings?|sung|sang|singing|voices?|alto|chant\w*|stimme|gesang|chanteu\w+|cantante|voz|voix|cantor|chorister|recit\w+|mc|emcee|frontman|frontwoman", heard.voice),
    ("lyrics", r"lyrics?|lyrical|lyricist|the words (?:are|speak|tell|say)|the text (?:is|speaks|tells)", heard.words),
    ("genre", GENRES, heard.unknown),
    ("origin", PEOPLES, heard.unknown),
    ("sound", r"(?:all )?alone|(?:all )?by (?:itself|himself|herself)|on its own|(?:the )?(?:only|sole) instrument\w*|no (?:other|further|additional|accompanying) instruments?\w*|without (?:any )?(?:other|further|additional) instruments?|no accompaniment|(?:nobody|no one|nothing)(?: else)? (?:accompanies|supports|joins|backs|doubles)|nothing else (?:plays|is heard|sounds)", heard.by_itself),
    *DYNAMICS,
    *SOUND,
)  # fmt: skip
_ALL = WordScanner([pattern for _, pattern, _ in _KINDS])
_OF_VOICE = ("sing", "voice", "vocal", "lyric", "word", *_SINGS[3:-1].split("|"))
_LIKE = re.compile(
    r"(?:\b(?:my|your) (?:\w+ )?|(?<!well )\b(?:as(?! well\b)|like|where|than|resembl\w+)(?: if)? (?:an? |the )?(?:\w+ ){0,2}|pop up |\bor (?:an? |from an )?)$",
    re.IGNORECASE,
)
_LIKE_AFTER = re.compile(r" (?:can\b|would\b|like\b)")
_OF_NOTES = re.compile(r"\b(?:notes?|attack|each|tones?)\b[^.]*$", re.IGNORECASE)
_CLAUSE = re.compile(r"[.;!?]\s|; |, (?:and|but|while) ")
_NOT_OF_A_PLACE = re.compile(
    r" (?:horns?|guitars?|sixth|6th|augmented|lyrics?|vocals?|words?|language|text|terms?|tempo|names?|markings?|speaking|singing)\b",
    re.IGNORECASE,
)
_IS_A_PERSON = re.compile(r"(?:ists?|ers?|player)$", re.IGNORECASE)
_SINGS_LIKE = re.compile(
    r"(?: (?:line|melody|solo|part))?(?: (?:that|which|softly|gently|sweetly|quietly|slowly|\w+ly))* (?:sings|singing|sung|sang|hums|humming|croons|whispers|cries|speaks|chants)",
    re.IGNORECASE,
)
_SOLO = re.compile(r"([\w ]+) solos?", re.IGNORECASE)
_OF_DRUMS = re.compile(r"\b(?:drums?|percussion|cymbals?|snare) (?:is|are|being|was|were)(?: \w+)? $", re.IGNORECASE)
_OF_A_SOUND = re.compile(
    r"electronic(?:ally)? (?:drum\w*|percussion|beats?|piano|keyboards?|organ|instrument\w*|sounds?|bass|kit|effects?|produced)\b",
    re.IGNORECASE,
)
_FOR_A_WHILE = re.compile(r"\b(?:seconds?|moments?|beats?|bars?) $", re.IGNORECASE)
_LANGUAGE = re.compile(r"\b(?:in|into|to|from) $", re.IGNORECASE)
_NAMED = {"instruments": heard.plays, "genre": heard.in_style, "origin": heard.in_style}


def read_players(text: str) -> Iterator[SpokenClaim]:
    """Read every claim about players, singers, genre, origin, loudness and texture in a plain text."""
    player_end = -1
    for number, match in _ALL.scan(text):
        kind, _, test = _KINDS[number]
        start, end = match.span()
        if kind == "instruments" and not _IS_A_PERSON.search(match[0]):
            player_end = end
        if kind == "voice" and 0 <= player_end <= start and _SINGS_LIKE.fullmatch(text, player_end, end):
            continue  # `the flute sings its melody`
        if kind in ("voice", "instruments", "drums") and (
            _LIKE.search(text, max(0, start - 48), start) or _LIKE_AFTER.match(text, end)
        ):
            continue  # `as a singing voice can` names no singer
        if match[0].lower() in ("he", "she") and not holds(text, _OF_VOICE):
            continue  # another player
        if kind in ("dynamics", "loudness") and _OF_NOTES.search(_CLAUSE.split(text[:start])[-1]):
            continue  # each note fades after its attack
        if kind == "sound" and _OF_DRUMS.search(text, max(0, start - 24), start):
            continue  # `no drum is struck` says nothing of the lead
        if (
            kind == "sound"
            and match[0].lower().startswith("without")
            and _FOR_A_WHILE.search(text, max(0, start - 32), start)
        ):
            continue  # `after a second without harmony`
        if kind == "genre" and _OF_A_SOUND.match(text, start):
            continue  # `electronic drums` name the drums
        if kind == "origin" and (_NOT_OF_A_PLACE.match(text, end) or _LANGUAGE.search(text, max(0, start - 6), start)):
            continue
        if kind in _NAMED:
            test = _NAMED[kind](match[0])
        elif kind == "playing" and (player := _SOLO.fullmatch(match[0])) is not None:
            test = heard.solo(player[1])
        yield SpokenClaim(kind, match[0], test, is_denied(text, start, end))
