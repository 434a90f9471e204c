"""Normalisers of sung words: each against golden lines, alt-eval's made with alt-eval 1.2.0 itself."""

import random

import pytest

from music_flamingo.evaluation.benchmarks import find
from music_flamingo.evaluation.benchmarks.base import BenchmarkItem
from music_flamingo.evaluation.benchmarks.whisper_words import published_normaliser, whisper_words
from music_flamingo.scoring.transcripts import alt_eval_words, folded_characters, folds_chinese, published_words

ALT_EVAL = (
    ("Don’t let me go", "don 't let me go"),
    ("'Cause I ain't gonna cry, rock 'n' roll", "'cause i ain 't gonna cry rock 'n' roll"),
    ("rock'n'roll all night", "rock 'n'roll all night"),
    ("It's the 80's, baby (oh yeah!)", "it 's the 80 's baby oh yeah"),
    ("Uh-huh, well-known, co-operate", "uh huh well known co operate"),
    ("Mr. Brown's 1,000 miles... away", "mr brown 's 1000 miles away"),
    ("“Hello,” she said; I'm goin' home", "hello she said i 'm goin' home"),
    ("don`t stop ♪ now", "don t stop now"),
    ("wait—no – yes", "wait no yes"),
    ("O.K. U.S.A. a.m.", "ok usa am"),
    ("You're the one / that I want & need", "you 're the one that i want need"),
    ('I said: "go!"', "i said go"),
    ("fallin' down\nthe rivers'\n\nflow", "fallin' down the rivers' flow"),
    ("no.1 50/50 100%", "no1 50 50 100"),
    ("#1 @home", "1 home"),
    ("naïve café Beyoncé's", "naïve café beyoncé 's"),
    ("it's, it's", "it 's it 's"),
    ("y'all'd've", "y 'all 'd've"),
    ("’til the mornin’ comes", "'til the mornin' comes"),
    ("What?!", "what"),
    ("2nd 3.5 4,5", "2nd 35 45"),
    ("hey,you", "hey you"),
    ("end.", "end"),
    ("a.b c", "ab c"),
    ("...", ""),
    ("—", ""),
    ("dogs' bones", "dogs' bones"),
    ("he said 'go' now", "he said 'go' now"),
)


@pytest.mark.parametrize(("line", "words"), ALT_EVAL)
def test_words_are_those_of_alt_eval(line, words):
    assert alt_eval_words(line) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Don’t let me go (oh yeah)", "do not let me go"),
        ("Hmm, I ain't gonna cry", "i aint going to cry"),
        ("Mr. Brown's twenty one miles", "mister brown is 21 miles"),
    ],
)
def test_words_are_those_of_whispers_normaliser(line, words):
    assert whisper_words(line) == words


SUNG = (
    "won't can't y'all wanna gonna i'ma imma ma'am mr mrs. st dr rep jr sr he'd been she's gone it's got don't they're "
    "i'd we'll 't i've i'm uh um hmm drums hymn (yeah) [chorus] <x> oh o one two twenty hundred and a half point "
    "double five ones minus dollars pounds $5 ¢7 per cent percent 50% 1 3rd 1,000 a.b 3.5 café œuvre ß — love- night "
    "ROAD 's don 't first x2 ٣ ½ İ ﬁ _ zero thousand negative o'clock rock'n'roll stn't been gone done light rain"
)


def test_words_are_those_of_the_published_normaliser_to_the_letter():
    published = published_normaliser().EnglishTextNormalizer({})
    rng = random.Random(0)
    for _ in range(3000):
        line = rng.choice((" ", "  ", ", ", ".", "\n")).join(rng.choices(SUNG.split(), k=rng.randrange(12)))
        assert whisper_words(line) == published(line), line


def test_the_published_normaliser_is_that_of_transformers():
    english = pytest.importorskip("transformers.models.whisper.english_normalizer")
    ours = published_normaliser().EnglishTextNormalizer({})
    assert ours.replacers == english.EnglishTextNormalizer({}).replacers
    assert ours.ignore_patterns == english.EnglishTextNormalizer({}).ignore_patterns


def test_a_typographic_apostrophe_is_an_apostrophe_by_every_rule():
    item = BenchmarkItem("1", ("1.wav",), "?", reference="Don’t go, it’s late")
    for measure in find("musdb18_lyrics").measures:
        assert measure.score(item, "don't go it's late", {}).value == 0.0, measure.name


def test_traditional_characters_are_no_errors_when_folded():
    if not folds_chinese():
        pytest.skip("needs OpenCC: pip install opencc")
    assert folded_characters("我聽見風") == "我 听 见 风"


def test_the_folded_rate_is_left_out_where_opencc_is_missing(monkeypatch):
    measure = find("opencpop").measure("folded")
    item = BenchmarkItem("1", ("1.wav",), "?", reference="我听见风")
    if not folds_chinese():
        assert measure.score(item, "我聽見風", {}) is None
    else:
        assert measure.score(item, "我聽見風", {}).value == 0.0


def test_published_words_lose_their_apostrophes_whatever_their_form():
    assert published_words("Don’t, don't DON`T!") == "dont dont dont"
