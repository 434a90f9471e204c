"""A fact has one home: how many source files name it, so that none of them comes to keep what another knows."""

import ast
from functools import cache
from pathlib import Path

import pytest

from music_flamingo.records import Sound
from music_flamingo.records.heard import SOUND_CLAIMS, SoundClaims
from music_flamingo.records.truth import Truth
from music_flamingo.scoring.families import on_sound

ROOT = Path(__file__).resolve().parents[2]

MOST = {
    "lead_envelope": 6,
    "texture": 12,
    "has_drums": 17,
    "beats_per_bar": 23,
    "also_bpm": 9,
    "register_heard": 10,
    "key_changes": 4,
    "dynamics_range_db": 3,
    "tempo_class": 8,
}
"""Field of a fact, or a family -> source files that name it: its record, its tools, and whoever needs this very fact.
A file that treats all facts of a kind alike takes them from `records` (SOUND_CLAIMS, MEASURED) and names none."""


def names_in(text: str) -> set[str]:
    """Attributes, keywords, fields and whole strings of a module; of `sound.texture` the last part."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.keyword(arg=str(name)) | ast.arg(arg=name):
                found.add(name)
            case ast.Constant(value=str(name)):
                found.add(name.rpartition(".")[2])
    return found


@cache
def named() -> dict[str, set[str]]:
    """Source file -> what it names."""
    files = [path for room in ("src", "pipelines", "components") for path in sorted((ROOT / room).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): names_in(path.read_text()) for path in files}


@pytest.mark.parametrize("fact", MOST)
def test_a_fact_is_named_in_few_files(fact):
    files = [path for path, names in named().items() if fact in names]
    assert len(files) <= MOST[fact], f"take it from its record or its family instead: {files}"


def test_each_claim_of_the_sound_has_an_entry_with_fields_that_exist():
    assert [claim.name for claim in SOUND_CLAIMS] == list(SoundClaims.model_fields)
    assert {claim.confidence for claim in SOUND_CLAIMS} <= set(Sound.model_fields)
    assert {claim.name for claim in SOUND_CLAIMS} <= set(Truth.model_fields)


def test_each_claim_of_the_sound_is_asked_about_by_one_family_that_words_every_answer():
    asked = {family.claim: family for family in on_sound()}
    assert list(asked) == list(SOUND_CLAIMS)
    for claim, family in asked.items():
        answers = {claim.answer(SoundClaims.model_construct(**{claim.name: value})) for value in claim.values}
        assert answers == set(family.options)
        assert all(c.in_window and c.in_rich and c.phrase for c in family.claims.values())
        assert all(set(other.answers) == answers for other in family.reworded)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("facts.sound.texture", True),
        ("Sound(texture=1)", True),
        ('OF = "sound.texture"', True),
        ('"""texture of the sound"""', False),
        ("textures = 1", False),
    ],
)
def test_naming_a_fact_is_recognised(text, found):
    assert ("texture" in names_in(text)) is found
