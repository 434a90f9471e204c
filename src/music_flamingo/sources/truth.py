"""Give the truth record of a planned performance, which evaluation grades against; times in seconds."""

from itertools import pairwise

from music_flamingo.records import Segment, Truth
from music_flamingo.sources.harmony import PITCH_NAMES, find_key, pitch_weights
from music_flamingo.sources.performance import DECAYING, family_of
from music_flamingo.sources.plan import MIN_NOTE_S, PerformancePlan

KEY_CORRELATION = 0.82
"""Below this the key of a piece is a matter of opinion, and no truth."""
MIN_SECTION_BARS = 2
EDGE_S = 1e-6


def tell_truth(plan: PerformancePlan, track_id: str) -> Truth:
    """The truth record of a performance."""
    p = plan.performance
    beats = [(number, round(time_s, 4)) for number, time_s in plan.beat_times()]
    instruments = list(dict.fromkeys(_program_name(s.program) for s in plan.soundings))
    family = family_of(p.programs[0])
    return Truth(
        id=track_id,
        work_id=plan.score.piece.work_id,
        tempo_bpm=round(p.tempo_bpm, 3),
        beats_s=[time_s for _, time_s in beats],
        downbeats_s=[time_s for number, time_s in beats if number == 0],
        meter=plan.score.meter,
        beats_per_bar=plan.beats_per_bar,
        key=_key(plan),
        chords=_chords(plan),
        sections=_sections(plan),
        instruments=instruments + (["drums"] if p.drums != "none" else []),
        lead_family=family,
        lead_envelope="decaying" if family in DECAYING else "sustained",
        has_drums=p.drums != "none",
        texture=p.texture,
    )


def words_heard(plan: PerformancePlan) -> str | None:
    """The score's words within the recording, each at its own place."""
    heard = [
        (start_s, word.text)
        for word in plan.score.words
        for start_s, _ in plan.times(word.start_q, word.start_q + plan.beat_q / 2)
    ]
    return " ".join(text for _, text in sorted(heard)) or None


def _key(plan: PerformancePlan) -> str | None:
    """The piece's key, transposed, when both the piece and what is heard of it are clearly in it."""
    score, p = plan.score, plan.performance
    if score.key_correlation <= KEY_CORRELATION:
        return None
    tonic, mode, _ = find_key(pitch_weights((s.start_s, s.end_s, s.pitch) for s in plan.soundings))
    if (tonic, mode) != ((score.tonic + p.transpose) % 12, score.mode):
        return None
    return f"{PITCH_NAMES[tonic]} {mode}"


def _chords(plan: PerformancePlan) -> list[Segment]:
    """The harmony where chords sound; `N` before the first; nothing is claimed of a melody alone."""
    p = plan.performance
    if p.texture == "melody":
        return []
    spans = sorted(
        (start_s, end_s, harmony.label(p.transpose))
        for harmony in plan.harmonies
        for start_s, end_s in plan.times(harmony.start_q, harmony.end_q)
    )
    return _tile(spans, p.duration_s)


def _sections(plan: PerformancePlan) -> list[Segment]:
    """The form by repeat and double bars; one section where none falls inside. Equal labels are the same music."""
    p, score = plan.performance, plan.score
    shortest_q = MIN_SECTION_BARS * score.bar_q
    starts = [0.0]
    for boundary_q in score.boundaries_q:
        if boundary_q - starts[-1] >= shortest_q and score.length_q - boundary_q >= shortest_q:
            starts.append(boundary_q)
    labels = {start: chr(ord("A") + min(i, 25)) for i, start in enumerate(starts)}
    repetitions = int((p.start_q + p.duration_s / plan.quarter_s) // score.length_q) + 1
    marks = [(plan.seconds(s + r * score.length_q), labels[s]) for r in range(repetitions) for s in starts]
    before = [label for time_s, label in marks if time_s <= p.lead_in_s + EDGE_S]
    inside = [(t, label) for t, label in marks if p.lead_in_s + EDGE_S < t < p.duration_s - MIN_NOTE_S]
    points = [(0.0, before[-1]), *inside, (p.duration_s, "")]
    return [Segment(start_s=round(a, 4), end_s=round(b, 4), label=label) for (a, label), (b, _) in pairwise(points)]


def _program_name(program: int) -> str:
    from pretty_midi import program_to_instrument_name

    return str(program_to_instrument_name(program))


def _tile(spans: list[tuple[float, float, str]], duration_s: float) -> list[Segment]:
    """Labelled spans as segments without holes from 0 s on: `N` before the first, `X` between; neighbours joined."""
    tiled: list[tuple[float, float, str]] = []
    position = 0.0
    for start_s, end_s, label in spans:
        if start_s > position + 1e-3:
            tiled.append((position, start_s, "X" if tiled else "N"))
        start_s = max(start_s, position)
        if end_s - start_s > 1e-3:
            tiled.append((start_s, end_s, label))
            position = end_s
    if tiled and position < duration_s - 1e-3:
        tiled.append((position, duration_s, "N"))
    joined: list[tuple[float, float, str]] = []
    for start_s, end_s, label in tiled:
        if joined and joined[-1][2] == label:
            joined[-1] = (joined[-1][0], end_s, label)
        else:
            joined.append((start_s, end_s, label))
    return [Segment(start_s=round(a, 4), end_s=round(b, 4), label=label) for a, b, label in joined]
