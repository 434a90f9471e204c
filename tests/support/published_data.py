"""A folder of published conversations about a few small recordings, as the hub has them: JSON, JSON lines, no audio."""

import json
from pathlib import Path

from support import sounds

NUM_SONGS = 4
SONG_S = 4.0
SOURCE = {
    "kind": "conversations",
    "recordings": {
        "kind": "rule",
        "field": "sound",
        "pattern": r"(?:.*/)?(?P<recording>[^/]+?)(?:_(?P<start_s>\d+)_(?P<end_s>\d+))?\.\w{2,5}",
        "of": "stem",
    },
    "max_duration_difference_s": 1.0,
    "caption_from_words": 20,
    "skill": "attribute",
    "follow_ups": "refuse",
}
CAPTION = (
    "A melody of short notes with bright overtones moves in steps and leaps over three octaves, each tone decaying on "
    "its own, with no drums and no voice anywhere in it."
)
CHOICES = "Choose one among the following options: (A) a flute (B) a struck string (C) a choir."
THINK = " Please think and reason about the input music before you respond."
TAGS = " Output the thinking process in <think> </think> and final answer in <answer> </answer>."
ANSWERS = ("a flute", "a struck string", "a choir")


def entry(sound: str | list[str], *turns: tuple[str, str], duration: object = SONG_S, name: str = "x") -> dict:
    spoken = [
        {"from": who, "value": text}
        for asked, said in turns
        for who, text in (("human", f"<sound>\n{asked}"), ("gpt", said))
    ]
    return {"id": name, "sound": sound, "duration": duration, "conversations": spoken}


def write_songs(folder: Path, num: int = NUM_SONGS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(num):
        (folder / f"song{number}.wav").write_bytes(sounds.encode(sounds.tune(SONG_S, 40 + number), "wav"))
    return folder


def write_conversations(folder: Path) -> Path:
    """20 entries about four songs, three of them with thoughts; and as many reasons to refuse one."""
    about = [
        entry(f"music/song{n}.wav", *turns, name=f"song{n}")
        for n in range(NUM_SONGS)
        for turns in (
            [("Describe the music in detail.", f"{CAPTION} It is number {n}.")],
            [(f"Which instrument leads? {CHOICES}", f"({'ABC'[n % 3]}) {ANSWERS[n % 3]}")],
            [("How do the tones end?", "They decay."), ("And how fast?", "Within half a second.")],
        )
    ]
    think = [
        entry("music/song0.wav", (f"Which instrument leads? {CHOICES}{TAGS}", _tagged("A plucked tone? No: breath."))),
        entry("song1.wav", (f"Which family is it? {CHOICES}{THINK}", "The tones decay, so the answer is (B).")),
        entry("song2_1_3.wav", (f"How many notes are there?{TAGS}", "<think>I count. Five.</think>Five.")),
    ]
    refused = [
        entry("music/elsewhere.mp3", ("What is it?", "A song.")),
        entry(["song0.wav", "song1.wav"], ("Which one is louder?", "The first.")),
        entry("song3.wav", ("What is it?", "Another version."), duration=95.0),
        {"id": "song3", "sound": "song3.wav", "duration": 4.0, "conversations": "none"},
        {"id": "song3", "duration": 4.0, "conversations": []},
    ]
    (folder / "skills").mkdir(parents=True, exist_ok=True)
    (folder / "think").mkdir(parents=True, exist_ok=True)
    (folder / "skills/FMA.json").write_text(json.dumps(about, indent=1))
    (folder / "think/FMA.jsonl").write_text("".join(json.dumps(e) + "\n" for e in think) + "{broken\n")
    (folder / "skills/YouTube.json").write_text(json.dumps(refused))
    return folder


def _tagged(thought: str) -> str:
    return f"<think>{thought}</think><answer>(A) a flute</answer>"
