"""Peak memory of one worker of the facts stage on a long recording.

    python benchmarks/memory.py                   20 minutes of rendered music, as a FLAC file of 44.1 kHz
    python benchmarks/memory.py --minutes 5

The recording is decoded and measured as the stage does it, in this process. Target: at most 1.5 GB for 20 minutes, so
that two workers fit into 6 GB. Prints the peak of the resident set.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

MINUTES = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure_file(arguments.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.flac"
        render(path, arguments.minutes)
        # in a process of its own: rendering leaves memory behind
        subprocess.run([sys.executable, __file__, "--measure", str(path)], check=True)


def render(path: Path, minutes: float) -> None:
    """One piece after another until the time is full."""
    import soundfile
    from facts import PIECES

    from music_flamingo.sources.performance import Performance
    from music_flamingo.sources.pieces import find_piece
    from music_flamingo.sources.reading import read_score
    from music_flamingo.sources.render import RATE_HZ, render_performance

    parts: list[np.ndarray] = []
    for work_id, tempo_bpm, programs, drums, comping in PIECES[:4]:
        performance = Performance(
            tempo_bpm=tempo_bpm, transpose=0, programs=programs, texture="melody" if comping == "melody" else "chords",
            drums=drums, comping="held", start_q=0.0, lead_in_s=0.5, duration_s=60.0, timing_jitter_s=0.006,
            velocity_jitter=8,
        )  # fmt: skip
        parts.append(render_performance(read_score(find_piece(work_id)), performance, seed=0)[0])
    samples = np.resize(np.concatenate(parts), round(minutes * 60 * RATE_HZ))
    with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
        for start in range(0, len(samples), 10 * RATE_HZ):
            file.write(samples[start : start + 10 * RATE_HZ])


def measure_file(path: Path) -> None:
    from threadpoolctl import threadpool_limits

    from music_flamingo.audio.decode import decode_original
    from music_flamingo.core.params import load_params, stage_json
    from music_flamingo.mir import to_signal
    from music_flamingo.records import Track
    from music_flamingo.stages.facts import FactsConfig, measure, open_toolbox

    text = stage_json(load_params(Path("params.yaml")), "facts")
    tools = open_toolbox(text)
    idle_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    signal = to_signal(*decode_original(path, FactsConfig.model_validate_json(text).limits))
    track = Track.model_construct(
        id="long", work_id="long", duration_s=signal.duration_s, lyrics=None, language=None, instruments=None
    )
    with threadpool_limits(limits=1):
        facts = measure(track, signal, tools)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{signal.duration_s / 60:.1f} minutes: {idle_mb:.0f} MB with the tools loaded, {peak_mb:.0f} MB at most")
    print(f"problems: {facts.problems or 'none'}")


if __name__ == "__main__":
    main()
