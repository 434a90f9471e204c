"""How fast ingest hears: decode, 16 kHz copy, loudness, silence, fingerprint, FLAC, beside the usual libraries.

    python benchmarks/ingest.py                     made stereo songs of three minutes in wav, flac, mp3 and opus
    python benchmarks/ingest.py FOLDER              the recordings of a folder

One process, one thread; seconds of CPU, the better of two passes. The peers do the same as people usually have it done,
each from the file on: librosa (decode, 16 kHz copy, silence; soundfile writes FLAC), pyloudnorm (integrated loudness
alone, of what soundfile reads) and Chromaprint by essentia (of the same), which is the library behind fpcalc; fpcalc
itself is no package of PyPI. A peer that is not installed is left out and named: then the comparison is in the peers'
favour. Writes a dated table to benchmarks/results.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from published import publish

from music_flamingo.audio.decode import DecodeLimits, open_audio
from music_flamingo.audio.fingerprint import fingerprint
from music_flamingo.audio.flac import MODEL_RATE_HZ, encode_flac
from music_flamingo.audio.loudness import LoudnessMeter
from music_flamingo.audio.measure import hear
from music_flamingo.audio.measurements import RecordingMeasurements, measure_recording
from music_flamingo.audio.resampling import Resampler, to_mono
from music_flamingo.core.params import load_params
from music_flamingo.sources.audio_folder import list_audio

ROOT = Path(__file__).parents[1]
RATE_HZ, SONG_S, NOTE_S = 44100, 180.0, 0.4
SUFFIXES = ("wav", "flac", "mp3", "opus")
WANTED_SPEED, WANTED_RATIO = 150.0, 3.0
PEERS = ("librosa", "pyloudnorm", "essentia", "soundfile")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    chosen = parser.parse_args()
    limits = DecodeLimits.model_validate(load_params(ROOT / "params.yaml")["ingest"]["limits"])
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.folder or made_songs(Path(scratch))
        files = [folder / name for name in list_audio(folder)]
        head = (
            "| recording | s | whole | decode | loudness, silence | 16 kHz copy | fingerprint | FLAC | peers | ratio |"
        )
        lines = [head, "|---|" + "---:|" * 9]
        totals = np.zeros(3)
        for path in files:
            try:
                measured = row(path, limits)
            except ValueError as error:
                print(f"{path.name} is left out: {error}")
                continue
            totals += measured[1]
            lines.append(measured[0])
            print(measured[0], flush=True)
    seconds, own, peers = totals
    verdict = (
        f"All together {seconds / own:.0f} times real time a core (wanted: {WANTED_SPEED:.0f}), "
        f"{peers / own:.1f} times the peers (wanted: {WANTED_RATIO:.0f})."
    )
    lines += ["", "Figures are times real time; `whole` is all of ingest's work on a recording.", verdict]
    left_out = f"peers that are not installed and left out: {', '.join(missing)}" if missing else "all peers are there"
    packages = ("av", "soxr", "numpy", "scipy", *(name for name in PEERS if name not in missing))
    publish(
        "ingest", "Hearing recordings at ingest", lines, packages, [left_out, "one process, one thread, CPU-seconds"]
    )


def row(path: Path, limits: DecodeLimits) -> tuple[str, np.ndarray]:
    """(a line of the table, [seconds of sound, of our work, of the peers'])."""
    heard = hear(path, limits)
    with open_audio(path, limits) as audio:
        blocks = list(audio.blocks())
    own = cpu_s(lambda: measured_whole(path, limits))
    steps = [
        cpu_s(lambda: decode(path, limits)),
        cpu_s(lambda: loudness(blocks, audio.rate_hz)),
        cpu_s(lambda: resample(blocks, audio.rate_hz)),
        cpu_s(lambda: fingerprint(heard.model_copy, MODEL_RATE_HZ)),
        cpu_s(lambda: encode_flac(heard.model_copy)),
    ]
    peers = cpu_s(lambda: by_peers(path))
    speeds = " | ".join(f"{heard.duration_s / s:.0f}" for s in (own, *steps, peers))
    line = f"| {path.name} | {heard.duration_s:.0f} | {speeds} | {peers / own:.1f} |"
    return line, np.array([heard.duration_s, own, peers])


def cpu_s(work: Callable[[], object]) -> float:
    found = []
    for _ in range(2):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return max(min(found), 1e-9)


def measured_whole(path: Path, limits: DecodeLimits) -> RecordingMeasurements:
    found = measure_recording(path, limits, "chromaprint")
    if found.reason is not None:
        raise ValueError(found.detail)
    return found


def decode(path: Path, limits: DecodeLimits) -> None:
    with open_audio(path, limits) as audio:
        for _ in audio.blocks():
            pass


def loudness(blocks: list[np.ndarray], rate_hz: int) -> None:
    meter = LoudnessMeter(rate_hz, len(blocks[0]))
    for block in blocks:
        meter.feed(block)
    meter.result()


def resample(blocks: list[np.ndarray], rate_hz: int) -> None:
    resampler = Resampler(rate_hz)
    np.concatenate([*(resampler.feed(to_mono(block)) for block in blocks), resampler.end()])


def by_peers(path: Path) -> None:
    """The same results as people usually get them: each tool by itself, from the file on."""
    import essentia
    import librosa
    import soundfile

    essentia.log.infoActive = essentia.log.warningActive = False
    from essentia.standard import Chromaprinter

    copy, _ = librosa.load(path, sr=MODEL_RATE_HZ)
    librosa.effects.split(copy, top_db=60)
    encode_flac(copy)
    if importlib.util.find_spec("pyloudnorm"):
        import pyloudnorm

        samples, rate_hz = soundfile.read(path)
        pyloudnorm.Meter(rate_hz).integrated_loudness(samples)
    samples, rate_hz = soundfile.read(path, dtype="float32")
    Chromaprinter(sampleRate=rate_hz)(np.ascontiguousarray(samples.mean(axis=1) if samples.ndim > 1 else samples))


def made_songs(folder: Path) -> Path:
    """Stereo melodies of random notes with overtones, one a format."""
    import av

    forms = {"wav": ("wav", "pcm_s16le", "s16"), "flac": ("flac", "flac", "s16"), "mp3": ("mp3", "libmp3lame", "s16p")}
    forms["opus"] = ("ogg", "libopus", "s16")
    for seed, suffix in enumerate(SUFFIXES):
        container, codec, sample_format = forms[suffix]
        with av.open(str(folder / f"song.{suffix}"), "w", format=container) as output:
            rate_hz = 48000 if suffix == "opus" else RATE_HZ
            stream = output.add_stream(codec, rate=rate_hz, layout="stereo")
            stream.format = sample_format
            stream.bit_rate = 192_000
            sound = np.stack([melody(seed), melody(seed + 100)]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout="stereo")
            frame.sample_rate = RATE_HZ
            size = stream.codec_context.frame_size or 4096
            resampler = av.AudioResampler(sample_format, "stereo", rate_hz, frame_size=size)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                output.mux(stream.encode(part))
            output.mux(stream.encode(None))
    return folder


def melody(seed: int) -> np.ndarray:
    time_s = np.arange(round(NOTE_S * RATE_HZ)) / RATE_HZ
    rng = np.random.default_rng(seed)
    notes = []
    for pitch in rng.integers(50, 80, round(SONG_S / NOTE_S)):
        base_hz = 440 * 2 ** ((pitch - 69) / 12)
        notes.append(sum(np.sin(2 * np.pi * base_hz * k * time_s) / k for k in (1, 2, 3, 4)) * np.exp(-2 * time_s))
    return 0.2 * np.concatenate(notes) + 0.003 * rng.standard_normal(round(SONG_S * RATE_HZ))


if __name__ == "__main__":
    main()
