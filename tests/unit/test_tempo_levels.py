"""At which level a tempo is counted: probabilities, two levels where both are likely, bars of five."""

import numpy as np
import pytest
from support import songs

from music_flamingo.mir.backbeat import backbeat
from music_flamingo.mir.bar_network import BarNetwork, Bars
from music_flamingo.mir.madmom_beats import meter_confidence, odd_bars
from music_flamingo.mir.tempo_levels import (
    RATIOS,
    candidates,
    counted_at,
    evidence,
    is_struck,
    level_to_count,
    load_level_model,
    tempo_levels,
)
from music_flamingo.mir.trust import TrustRules, withheld
from music_flamingo.records import Tempo, TempoLevel
from music_flamingo.scoring.claims import read_claims
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.teachers.scripted.words import felt_at

STAMP = {"tool": "ear", "tool_version": "1", "confidence": 0.9}


def levels(*pairs: tuple[float, float]) -> list[TempoLevel]:
    return [TempoLevel(bpm=bpm, probability=p) for bpm, p in pairs]


def pulses(bpm: float, accented: int, seconds: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Activations and rises of level of beats at a tempo, every `accented`th a downbeat."""
    frames = np.round(np.arange(20, seconds * 100 - 20, 6000 / bpm)).astype(int)
    activations, rises = np.full((seconds * 100, 2), 0.01), np.zeros((seconds * 100, 5))
    activations[frames, 0], activations[frames[::accented], 0] = 0.9, 0.05
    activations[frames[::accented], 1] = 0.9
    rises[frames] = 30.0
    return activations, rises


def test_the_probabilities_of_all_levels_sum_to_one_and_fall() -> None:
    activations, rises = pulses(100.0, 4)
    found = tempo_levels(100.0, 4, activations, rises)
    assert sum(level.probability for level in found) == pytest.approx(1.0, abs=0.01)
    assert found == sorted(found, key=lambda level: -level.probability)
    assert {round(level.bpm / 100, 3) for level in found} <= {round(ratio, 3) for ratio in RATIOS}


def test_evidence_has_a_row_for_each_level_and_the_columns_that_were_fitted() -> None:
    activations, rises = pulses(120.0, 3)
    tempi = candidates(120.0)
    assert tempi.min() >= 38 and tempi.max() <= 235 and 120.0 in tempi
    assert evidence(120.0, 3, tempi, activations, rises).shape == (len(tempi), len(load_level_model().mean))


def test_one_clear_level_is_said_alone_and_two_likely_ones_both() -> None:
    alone = counted_at(levels((120, 0.9), (60, 0.1)), 0.8, 120.0)
    assert (alone["bpm"], alone["also_bpm"]) == (120.0, None) and 0.85 < alone["confidence"] <= 0.9
    both = counted_at(levels((75, 0.5), (150, 0.4), (50, 0.1)), 0.8, 75.0)
    assert (both["bpm"], both["also_bpm"]) == (75.0, 150) and 0.85 < both["confidence"] <= 0.9
    unsure = counted_at(levels((75, 0.4), (150, 0.14), (50, 0.13)), 0.8, 75.0)
    assert unsure["also_bpm"] is None and unsure["confidence"] < 0.45
    likelier = counted_at(levels((174, 0.65), (87, 0.34)), 0.8, 174.0)
    assert (likelier["bpm"], likelier["also_bpm"]) == (174.0, None) and 0.6 < likelier["confidence"] < 0.66


def test_beats_that_the_network_hardly_hears_lower_the_confidence() -> None:
    heard, missed = (counted_at(levels((120, 0.9), (60, 0.1)), sure, 120.0)["confidence"] for sure in (0.8, 0.05))
    assert missed < 0.65 < heard


def test_the_tracked_level_stays_unless_another_is_clear_and_no_waltz_is_counted_in_one() -> None:
    assert level_to_count(levels((75, 0.8), (150, 0.2)), 150.0, struck=True, beats_per_bar=4) == 75
    assert level_to_count(levels((75, 0.55), (150, 0.4)), 150.0, struck=True, beats_per_bar=4) == 150
    assert level_to_count(levels((50, 0.9), (150, 0.1)), 150.0, struck=True, beats_per_bar=3) == 150


def test_six_eighths_are_counted_by_their_dotted_quarters_where_that_is_clear():
    assert level_to_count(levels((48.8, 0.98), (146.3, 0.01)), 146.3, struck=True, beats_per_bar=4) == 48.8


def test_a_faster_level_is_followed_where_percussion_strikes_and_a_slower_one_everywhere():
    assert level_to_count(levels((132, 0.94), (66, 0.05)), 66.0, struck=True, beats_per_bar=4) == 132
    assert level_to_count(levels((132, 0.94), (66, 0.05)), 66.0, struck=False, beats_per_bar=4) == 66
    assert level_to_count(levels((66, 0.94), (132, 0.05)), 132.0, struck=False, beats_per_bar=4) == 66


def test_strong_rises_above_5_khz_are_percussion():
    rises = np.zeros((1000, 5))
    assert not is_struck(rises)
    rises[::10, 1] = 30.0
    assert is_struck(rises)


def test_a_bar_of_five_is_heard_where_it_is_played_and_not_where_four_are() -> None:
    for length, expected in ((5, True), (4, False)):
        activations, _ = pulses(150.0, length)
        plain = BarNetwork((2, 3, 4), 50, 215).decode(activations)
        odd = odd_bars(activations, plain)
        assert (odd is not None and int(odd.beats[:, 1].max()) == 5) is expected


def test_the_meter_is_as_sure_as_its_margin() -> None:
    beats = np.array([[k * 0.5, k % 4 + 1] for k in range(40)])
    clear, close = (Bars(beats, (-400.0, other, -300.0), (2, 3, 4)) for other in (-460.0, -302.0))
    assert meter_confidence(clear, 0.6) > 0.9 and meter_confidence(close, 0.6) < meter_confidence(clear, 0.6)
    assert meter_confidence(close, 0.1) < 0.6


def test_a_text_may_name_either_level_and_no_other() -> None:
    from support import songs

    facts = songs.make_facts(tempo=Tempo(bpm=75.0, also_bpm=150.0, **STAMP))
    verdicts = []
    for text in ("The pulse is about 75 BPM.", "The tempo is 150 BPM.", "The tempo is 100 BPM."):
        (claim,) = read_claims(text)
        verdicts.append(claim.test(facts)[0])
    assert verdicts == [True, True, False]
    assert FAMILIES["tempo_class"].from_facts(facts) is None  # slow at one, fast at the other


@pytest.mark.parametrize(("ratio", "said"), [(2.0, "twice as fast"), (0.5, "half as fast"), (1 / 3, "a third as fast")])
def test_another_level_is_said_in_words(ratio: float, said: str) -> None:
    assert felt_at(ratio) == said


def test_kick_and_snare_in_turn_speak_for_the_level_at_which_they_alternate() -> None:
    loud = np.zeros((2000, 5))
    loud[::100, 2] = loud[50::100, 4] = 1.0  # 120 BPM: a kick on every odd beat, a snare on every even one
    found = backbeat(loud, np.array([60.0, 120.0, 240.0]))
    assert found[1, 0] == found[:, 0].min() < 0, "opposite at half the rate of 120"
    assert found[1, 1] > 3 * found[0, 1] and found.shape == (3, 8)


def test_levels_are_probabilities_with_and_without_drums() -> None:
    activations, rises = pulses(120.0, 4)
    for heard in (rises, np.zeros_like(rises)):
        found = tempo_levels(120.0, 4, activations, heard)
        assert sum(level.probability for level in found) == pytest.approx(1.0, abs=0.002)


RULES = TrustRules(
    least_confidence={"tempo": 0.8},
    min_partials=5.0,
    min_partials_share=0.15,
    sung_from_share=0.3,
    two_levels_from=0.95,
)


@pytest.mark.parametrize(
    ("first", "second", "confidence", "is_trusted"),
    [(0.55, 0.43, 0.97, True), (0.43, 0.55, 0.97, False), (0.5, 0.42, 0.92, False)],
)
def test_two_levels_are_trusted_where_the_first_is_likelier_and_both_are_nearly_sure(
    first, second, confidence, is_trusted
):
    found = levels((90.0, first), (180.0, second)) if first > second else levels((180.0, second), (90.0, first))
    tempo = Tempo(bpm=90.2, also_bpm=180.0, levels=found, **STAMP | {"confidence": confidence})
    kept_back = {entry.fact for entry in withheld(songs.make_facts(tempo=tempo), RULES)}
    assert ("tempo" not in kept_back) is is_trusted


def test_two_levels_of_an_annotation_have_no_odds_and_need_none():
    tempo = Tempo(bpm=90.0, also_bpm=180.0, levels=[], **STAMP | {"confidence": 1.0})
    assert not withheld(songs.make_facts(tempo=tempo), RULES)
