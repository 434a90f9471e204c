"""Small hand-made copies of each benchmark's published files: exact format, invented content, short audio."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile


def tone(path: Path, hz: float = 440.0, seconds: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * hz * np.arange(int(16000 * seconds)) / 16000)
    soundfile.write(path, samples.astype(np.float32), 16000)


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_lines(path: Path, rows: Iterable[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_csv(path: Path, rows: Sequence[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def mmau(folder: Path, part: str) -> None:
    audio = {"mini": "test-mini-audios", "full": "test-audios"}[part]
    rows = []
    for number, (task, answer) in enumerate([("music", "Koto"), ("music", "Sitar"), ("speech", "Oud")]):
        row = {
            "id": f"clip-{number}",
            "audio_id": f"./{audio}/clip-{number}.wav",
            "question": "Which instrument is plucked?",
            "choices": ["Sitar", "Koto", "Oud", "Balalaika"],
            "dataset": "made up",
            "task": task,
            "split": f"test-{part}",
            "category": "Reasoning",
            "sub-category": "Instrumentation",
            "difficulty": "easy",
        }
        rows.append(row if part == "full" else {**row, "answer": answer})
        tone(folder / audio / f"clip-{number}.wav", 200 + 100 * number)
    write_json(folder / {"mini": "mmau-test-mini.json", "full": "mmau-test.json"}[part], rows)


def mmau_pro(folder: Path) -> None:
    rows = [
        ("p1", ["data/p1.wav"], "Which raga is it?", "Yaman", ["Yaman", "Bhairav", "Todi"], "music"),
        ("p2", ["data/p2.wav"], "Which maqam is it?", "Rast", ["Hijaz", "Rast"], "music"),
        ("p5", ["data/p5.wav"], "Which tala is it?", "Jhaptal", ["Tintal", "Dadra"], "music"),  # as some published rows
        ("p3", ["data/p3.wav"], "Describe it.", "A slow air.", ["only one"], "music"),
        ("p4", ["data/p4.wav"], "What is told here?", "A joke.", None, "open"),
    ]
    names = ("id", "audio_path", "question", "answer", "choices", "category")
    records = [{**dict(zip(names, row, strict=True)), "sub-cat": ["Culture"], "length_type": "short"} for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), folder / "test.parquet")
    for row in rows:
        tone(folder / row[1][0])


def muchomusic(folder: Path) -> None:
    common = {
        "question": "What rhythm do the drums play?",
        "correct_answer": "Four on the floor",
        "distractor_1_answer": "Off-beat skank",
        "distractor_2_answer": "Scat singing",
        "distractor_3_answer": "A guitar melody",
    }
    write_csv(
        folder / "muchomusic.csv",
        [
            {
                **common,
                "dataset": "sdd",
                "dataset_identifier": "415600.json",
                "genre": "Pop",
                "music_knowledge": "['metre and rhythm']",
                "music_reasoning": "[]",
            },
            {
                **common,
                "dataset": "musiccaps",
                "dataset_identifier": "-aB_c9_0.json",
                "genre": "",
                "music_knowledge": "",
                "music_reasoning": "['genre and style', 'mood and expression']",
            },
        ],
    )
    write_csv(folder / "sdd/song_describer.csv", [{"track_id": "415600", "path": "00/415600.mp3"}])
    tone(folder / "sdd/audio/00/415600.2min.mp3", 300)
    tone(folder / "musiccaps/audio/[-aB_c9]-[30-40].wav", 500)


def rul_muchomusic(folder: Path) -> None:
    rows = {
        name: {
            "question": "Which instrument plays the melody?",
            "caption": "A mellow organ leads.",
            "correct_answer": answer,
            "distractors": ["Lyrical cello", "Lyrical clarinet", "Serene oboe", "Tender violin"],
            "PI": 0.98,
        }
        for name, answer in (("1740", "Mellow organ"), ("1862", "Warm tuba"))
    }
    write_json(folder / "RUL-MuchoMusic.json", rows)
    for name in rows:
        tone(folder / f"audio/{name}.mp3")


def mmar(folder: Path) -> None:
    rows = []
    for number, modality in enumerate(["music", "sound", "music"]):
        name = f"vid{number}_00-01-32_00-02-02"
        rows.append(
            {
                "id": name,
                "audio_path": f"./audio/{name}.wav",
                "question": "Where might this music come from?",
                "choices": ["Mountain canyon", "Dense forest", "Open grassland"],
                "answer": "Open grassland",
                "modality": modality,
                "category": "Cultural Layer",
                "sub-category": "Professional Knowledge and Reasoning",
                "language": None,
                "source": "youtube",
                "url": "",
                "timestamp": "00:01:32,00:02:02",
                "thinking": "",
                "cue": [],
                "rubric": [],
            }
        )
        tone(folder / f"audio/{name}.wav", 200 + 100 * number)
    write_lines(folder / "MMAR-meta.jsonl", rows)


def music_instruct(folder: Path, length: str) -> None:
    rows = [
        {
            "ytid": name,
            "question": "Which instruments are heard?",
            "answer": "A harp and a choir.",
            "sampling_rate": 44100,
            "is_audioset_eval": flag,
        }
        for name, flag in (("a1", True), ("b2", False), ("c3", "True"))
    ]
    write_json(folder / f"music_instruct_{length}.json", {"QA": rows})
    tone(folder / "audio/a1.wav")
    tone(folder / "audio/c3.wav", 300)


def music_avqa(folder: Path) -> None:
    rows = [
        ("00000093", 12, '["Audio", "Counting"]', "How many instruments were heard？", "[]", "one"),
        (
            *("00000823", 2945, '["Audio", "Comparative"]', "Is the <Object> louder than the <Object>?"),
            *('["clarinet", "acoustic_guitar"]', "yes"),
        ),
        ("00000086", 28, '["Audio-Visual", "Location"]', "Where is the <Object>?", '["violin"]', "left"),
    ]
    names = ("video_id", "question_id", "type", "question_content", "templ_values", "anser")
    write_json(folder / "avqa-test.json", [{**dict(zip(names, r, strict=True)), "question_deleted": 0} for r in rows])
    for row in rows:
        tone(folder / f"audio/{row[0]}.wav", 200 + int(row[1]) % 300)


def songcaps(folder: Path) -> None:
    rows = [
        {"id": "s1", "audio": "songs/s1.wav", "reference": "A slow song for harp.", "category": "folk"},
        {"id": "s2", "audio": "songs/s2.wav", "reference": "A fast reel."},
    ]
    write_lines(folder / "songcaps.jsonl", rows)
    for number, row in enumerate(rows):
        tone(folder / str(row["audio"]), 300 + 100 * number)


def nsynth(folder: Path) -> None:
    notes = {
        "bass_synthetic_068-049-025": ("bass", "synthetic"),
        "synth_lead_synthetic_011-060-100": ("synth_lead", "synthetic"),
        "vocal_acoustic_000-050-075": ("vocal", "acoustic"),
    }
    write_json(
        folder / "nsynth-test/examples.json",
        {
            note: {
                "note_str": note,
                "instrument_family_str": family,
                "instrument_source_str": source,
                "pitch": 60,
                "velocity": 100,
                "sample_rate": 16000,
            }
            for note, (family, source) in notes.items()
        },
    )
    for number, note in enumerate(notes):
        tone(folder / f"nsynth-test/audio/{note}.wav", 200 + 90 * number)


def gtzan(folder: Path) -> None:
    for number, genre in enumerate(["blues", "hiphop", "jazz"]):
        tone(folder / f"genres/{genre}/{genre}.0000{number}.wav", 200 + 70 * number)


def medley_solos(folder: Path) -> None:
    rows = [
        ("test", "clarinet", 0, 12, "aa11"),
        ("test", "female singer", 2, 13, "bb22"),
        ("training", "piano", 4, 14, "cc33"),
    ]
    names = ("subset", "instrument", "instrument_id", "song_id", "uuid4")
    write_csv(folder / "Medley-solos-DB_metadata.csv", [dict(zip(names, row, strict=True)) for row in rows])
    for number, (subset, _, instrument_id, _, uuid) in enumerate(rows):
        tone(folder / f"Medley-solos-DB_{subset}-{instrument_id}_{uuid}.wav", 200 + 80 * number)


def musiccaps(folder: Path) -> None:
    rows = [
        {
            "ytid": name,
            "start_s": 30,
            "end_s": 40,
            "audioset_positive_labels": "/m/0140xf",
            "aspect_list": "['slow', 'harp']",
            "caption": "A harp plays slowly, in a large room.",
            "author_id": 9,
            "is_balanced_subset": flag,
            "is_audioset_eval": flag,
        }
        for name, flag in (("-x_1", True), ("y2", False))
    ]
    write_csv(folder / "musiccaps-public.csv", rows)
    tone(folder / "audio/[-x_1]-[30-40].wav")


def opencpop(folder: Path) -> None:
    lines = ["2009000001|我把一切都给你|w o|A4|0.2|0.1|0", "2009000002|风吹过山岗|f eng|A4|0.2|0.1|0"]
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    (folder / "segments/test.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines:
        tone(folder / f"segments/wavs/{line.split('|')[0]}.wav")


def musdb18_lyrics(folder: Path) -> None:
    (folder / "lyrics/test").mkdir(parents=True, exist_ok=True)
    songs = {
        "Some Band - A Song": "0:05 0:09 a Don't let me *\n9.5 12.0 b go now?\n12.0 14.0 d\n",
        "Other Band - Two": "1.0 2.0 c la la la\n",
        "Third - Instrumental": "0.0 9.0 d\n",
    }
    for song, text in songs.items():
        (folder / f"lyrics/test/{song}.txt").write_text(text, encoding="utf-8")
    tone(folder / "test/Some Band - A Song/mixture.wav")
    tone(folder / "test/Some Band - A Song/vocals.wav", 200)
    tone(folder / "test/Other Band - Two/mixture.wav", 300)


WRITERS: dict[str, tuple[Callable[[Path], None], int]] = {
    "mmau_music_mini": (lambda f: mmau(f, "mini"), 2),
    "mmau_music_full": (lambda f: mmau(f, "full"), 2),
    "mmau_pro_music": (mmau_pro, 3),
    "mmau_pro_open": (mmau_pro, 1),
    "muchomusic": (muchomusic, 2),
    "rul_muchomusic": (rul_muchomusic, 2),
    "rul_muchomusic_left_out": (rul_muchomusic, 2),
    "mmar_music": (mmar, 2),
    "music_instruct_long": (lambda f: music_instruct(f, "long"), 2),
    "music_instruct_short": (lambda f: music_instruct(f, "short"), 2),
    "music_avqa": (music_avqa, 2),
    "music_avqa_all": (music_avqa, 3),
    "songcaps": (songcaps, 2),
    "nsynth_source": (nsynth, 3),
    "nsynth_instrument": (nsynth, 3),
    "gtzan": (gtzan, 3),
    "medley_solos_db": (medley_solos, 2),
    "musiccaps": (musiccaps, 1),
    "opencpop": (opencpop, 2),
    "musdb18_lyrics": (musdb18_lyrics, 2),
}
"""Benchmark -> (who writes its files, how many items they hold)."""
