"""A small corpus of each layout on disk, with real audio files; each has one utterance whose audio cannot be read."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

BROKEN = b"this is no audio"


def sound(seconds: float, rate_hz: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise under a slow wave: nothing a decoder could take for silence."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 0.3 * np.sin(2 * np.pi * 220 * times) * (1 + 0.5 * np.sin(2 * np.pi * 3 * times)) + rng.normal(
        0, 0.01, len(times)
    )
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def write(path: Path, seconds: float, rate_hz: int, channels: int = 1, **form: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(seconds, rate_hz, channels), rate_hz, **form)
    return path


def mp3(seconds: float, rate_hz: int = 24000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(seconds, rate_hz), rate_hz, format="MP3")
    return buffer.getvalue()


def emilia(root: Path) -> dict[str, Any]:
    """A tar as on the hub, and JSON lines beside their clips as in the first release."""
    entries = {
        "EN_B00000_S00010_W000000": ("en", "EN_S00010", "Two red birds sing.", mp3(1.5)),
        "ZH_B00000_S00011_W000001": ("zh", "ZH_S00011", "两只红鸟唱歌。", mp3(1.2)),
        "EN_B00000_S00010_W000002": ("en", "EN_S00010", "Never heard.", BROKEN),
    }
    (root / "EN").mkdir(parents=True)
    with tarfile.open(root / "EN/EN-B000000.tar", "w") as tar:
        for name, (language, speaker, text, clip) in entries.items():
            about = {"id": name, "wav": f"{name}.mp3", "text": text, "duration": 1.5, "speaker": speaker}
            for suffix, data in (
                (".json", json.dumps({**about, "language": language, "dnsmos": 3.3}).encode()),
                (".mp3", clip),
            ):
                member = tarfile.TarInfo(name + suffix)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    lines = root / "DE/DE_B00001.jsonl"
    clip = root / "DE/DE_B00001/mp3/DE_B00001_S00000_W000000.mp3"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(mp3(1.0))
    about = {
        "id": clip.stem,
        "wav": str(clip.relative_to(lines.parent)),
        "text": "Drei Hunde laufen.",
        "speaker": "DE_S0",
        "language": "de",
    }
    lines.write_text(json.dumps(about) + "\n" + '{"id": "DE_broken_line"' + "\n")
    return {"kind": "emilia", "path": str(root), "split": "train", "licence": "CC-BY-NC-4.0"}


def covost(root: Path) -> dict[str, Any]:
    """French by CoVoST's tables (two targets share a clip), Welsh by Common Voice's own."""
    for language, name, clip in (
        ("fr", "common_voice_fr_1", mp3(1.4, 48000)),
        ("fr", "common_voice_fr_2", BROKEN),
        ("cy", "common_voice_cy_9", mp3(1.1, 48000)),
    ):
        path = root / language / "clips" / f"{name}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip)
    head = "path\tsentence\ttranslation\tclient_id\n"
    row = 'common_voice_fr_1.mp3\tIl dit "bonjour\tHe says "hello\tabc\n'
    (root / "fr/covost_v2.fr_en.train.tsv").write_text(head + row + "common_voice_fr_2.mp3\tPerdu.\tLost.\tabd\n")
    (root / "fr/covost_v2.fr_de.train.tsv").write_text(head + row)
    own = "client_id\tpath\tsentence\tup_votes\nxyz\tcommon_voice_cy_9.mp3\tMae dau aderyn yn canu\t2\n"
    (root / "cy/dev.tsv").write_text(own)
    return {"kind": "covost", "path": str(root)}


def must_c(root: Path) -> dict[str, Any]:
    data = root / "data/train"
    write(data / "wav/ted_1.wav", 6.0, 16000)
    (data / "wav/ted_2.wav").write_bytes(BROKEN)
    (data / "txt").mkdir()
    (data / "txt/train.yaml").write_text(
        "- {duration: 1.5, offset: 0.5, rW: 4, uW: 0, speaker_id: spk.1, wav: ted_1.wav}\n"
        "- {duration: 2.25, offset: 3.0, rW: 3, uW: 0, speaker_id: spk.1, wav: ted_1.wav}\n"
        "- {duration: 9.0, offset: 5.5, rW: 3, uW: 0, speaker_id: spk.1, wav: ted_1.wav}\n"
        "- {duration: 1.0, offset: 0.0, rW: 1, uW: 0, speaker_id: spk.2, wav: ted_2.wav}\n"
    )
    (data / "txt/train.en").write_text("Two red birds sing.\nThey sing of rain.\nBeyond the end.\nNever heard.\n")
    return {"kind": "must_c", "path": str(root), "language": "en"}


def sift(root: Path) -> dict[str, Any]:
    audio = root / "clips"
    write(audio / "en/common_voice_en_1.wav", 1.5, 16000)
    (audio / "en/common_voice_en_2.wav").write_bytes(BROKEN)

    def line(user: list[dict], assistant: dict) -> str:
        messages = [{"role": "user", "content": user}, {"role": "assistant", "content": [assistant]}]
        return json.dumps({"id": "x", "messages": messages, "task": "t", "data_source": "common_voice_en"}) + "\n"

    def clip(name: str) -> dict:
        return {"text": None, "audio_path": f"/path/to/{name}.wav"}

    def words(text: str) -> dict:
        return {"text": text, "audio_path": None}

    table = root / "SIFT-50M/train/closed_ended/content_level/en/split0.jsonl"
    table.parent.mkdir(parents=True)
    table.write_text(
        line([clip("common_voice_en_1"), words("What is said?")], words("Two red birds sing."))
        + line([clip("common_voice_en_2"), words("What is said?")], words("Never heard."))
        + line([clip("common_voice_en_1"), clip("common_voice_en_2"), words("Who is older?")], words("The second."))
        + line([words("Say hello.")], clip("common_voice_en_1"))
    )
    return {"kind": "sift", "path": str(root / "SIFT-50M"), "audio": str(audio)}


def chime(root: Path) -> dict[str, Any]:
    transcripts = root / "transcriptions/dev"
    transcripts.mkdir(parents=True)

    def entry(speaker: str, start: Any, end: Any, words: str) -> dict:
        return {"speaker": speaker, "start_time": start, "end_time": end, "words": words, "session_id": "S02"}

    session = [
        entry("P05", "0:00:01.00", "0:00:02.50", "two red [laughs] birds"),
        entry("P06", "0:00:02.00", "0:00:03.00", "where"),
        entry("P05", "0:00:04.00", "0:00:04.50", "[noise]"),
        entry("P07", "0:00:12.00", "0:00:13.00", "over there"),
        entry("P08", "0:00:15.00", "0:00:14.00", "backwards"),
    ]
    (transcripts / "S02.json").write_text(json.dumps(session))
    write(root / "audio/dev/S02_U01.CH1.wav", 16.0, 16000)
    fifth = [
        entry(
            "P09",
            {"original": "0:00:00.50", "U01": "0:00:01.00"},
            {"original": "0:00:01.50", "U01": "0:00:02.00"},
            "never heard",
        )
    ]
    (transcripts / "S09.json").write_text(json.dumps(fifth))
    (root / "audio/dev/S09_U01.CH1.wav").write_bytes(BROKEN)
    (transcripts / "S10.json").write_text("{")
    return {"kind": "chime", "path": str(root), "device": "U01.CH1", "max_segment_s": 6.0}


def switchboard(root: Path) -> dict[str, Any]:
    write(root / "swb1/sw02001.sph", 12.0, 8000, 2, format="NIST", subtype="ULAW")
    texts = root / "trans/20/2001"
    texts.mkdir(parents=True)
    (texts / "sw2001A-ms98-a-trans.text").write_text(
        "sw2001A-ms98-a-0001 0.000000 0.977625 [silence]\n"
        "sw2001A-ms98-a-0002 0.977625 3.500000 hi um [laughter-yeah] th[ey]- because_1 [noise]\n"
        "sw2001A-ms98-a-0003 9.000000 11.000000 <b_aside> {alrighty} <e_aside>\n"
    )
    (texts / "sw2001B-ms98-a-trans.text").write_text("sw2001B-ms98-a-0001 2.500000 4.000000 [splace/space] indeed\n")
    (root / "trans/21").mkdir()
    (root / "trans/21/sw2102A-ms98-a-trans.text").write_text("sw2102A-ms98-a-0001 0.5 1.5 never heard\n")
    (root / "swb1/sw02102.sph").write_bytes(BROKEN)
    return {"kind": "switchboard", "path": str(root), "split": "train", "max_segment_s": 6.0}


def text_grid(tiers: dict[str, list[tuple[float, float, str]]]) -> str:
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 20\ntiers? <exists>\n'
    text = head + f"size = {len(tiers)}\nitem []:\n"
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        text += f'    item [{number}]:\n        class = "IntervalTier"\n        name = "{name}"\n'
        text += "        xmin = 0\n        xmax = 20\n"
        text += f"        intervals: size = {len(intervals)}\n"
        for place, (start_s, end_s, said) in enumerate(intervals, start=1):
            quoted = said.replace('"', '""')
            text += f"        intervals [{place}]:\n            xmin = {start_s}\n            xmax = {end_s}\n"
            text += f'            text = "{quoted}"\n'
    return text


def alimeeting(root: Path) -> dict[str, Any]:
    far = root / "Eval_Ali/Eval_Ali_far"
    write(far / "audio_dir/R8001_M8004_MS801.wav", 14.0, 16000, 8)
    grids = far / "textgrid_dir"
    grids.mkdir()
    (grids / "R8001_M8004.TextGrid").write_text(
        text_grid(
            {
                "N_SPK8013": [(0.5, 2.0, "两只红鸟"), (2.0, 3.0, ""), (9.0, 10.5, '他说"好"')],
                "N_SPK8014": [(1.5, 3.5, "唱歌")],
            }
        )
    )
    (grids / "R8002_M8005.TextGrid").write_text(text_grid({"N_SPK8020": [(0.5, 1.5, "没有")]}))
    (far / "audio_dir/R8002_M8005_MS802.wav").write_bytes(BROKEN)
    return {"kind": "alimeeting", "path": str(root), "channel": 0, "max_segment_s": 6.0}


SPOKEN = {
    "kind": "spoken",
    "seed": 3,
    "languages": ["en", "de"],
    "voices": ["m1", "f1"],
    "held_out_voices": ["f3", "m3"],
    "held_out_sentences": 0.2,
    "train": {"alone": 6, "together": 2, "sung": 2},
    "dev": {"alone": 2, "together": 2, "sung": 1},
    "words_per_minute": [150, 190],
    "pitch": [30, 70],
    "overlap": [0.2, 0.6],
    "level_dbfs": [-12.0, -6.0],
    "bed_db": [-18.0, -10.0],
}

CORPORA: dict[str, Callable[[Path], dict[str, Any]]] = {
    "emilia": emilia,
    "covost": covost,
    "must_c": must_c,
    "sift": sift,
    "chime": chime,
    "switchboard": switchboard,
    "alimeeting": alimeeting,
}

LIMITS = {
    "max_bytes": 10_000_000,
    "min_duration_s": 0.3,
    "max_duration_s": 30.0,
    "min_rate_hz": 8000,
    "max_rate_hz": 192000,
    "max_channels": 8,
    "max_tag_chars": 1000,
}


def speech_config(**sources: Any) -> dict[str, Any]:
    return {"sources": sources, "limits": LIMITS, "shard_size": 4, "workers": 1}
