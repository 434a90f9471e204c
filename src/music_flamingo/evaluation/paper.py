"""The published table (paper, section on results): Music Flamingo's values.

In the unit of the benchmark. A row is compared with ours where the task is the same; which scorer, prompt and
subset the paper used is published for none of them, so a difference is a comparison and no verdict.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A value of the paper and its metric."""

    value: float
    metric: str


PUBLISHED: dict[str, Published] = {
    "mmau_music_full": Published(76.83, "accuracy"),
    "mmau_music_mini": Published(76.35, "accuracy"),
    "mmau_pro_music": Published(65.60, "accuracy"),
    "muchomusic": Published(74.58, "accuracy"),
    "rul_muchomusic": Published(74.58, "accuracy (the model's card links MuChoMusic to this)"),
    "rul_muchomusic_left_out": Published(74.58, "accuracy (the form that was asked is not named)"),
    "mmar_music": Published(48.66, "accuracy"),
    "music_instruct_long": Published(97.1, "GPT-5 judge"),
    "music_avqa": Published(73.6, "accuracy"),
    "music_avqa_all": Published(73.6, "accuracy"),
    "nsynth_source": Published(75.89, "accuracy"),
    "nsynth_instrument": Published(80.76, "accuracy"),
    "gtzan": Published(84.45, "accuracy"),
    "medley_solos_db": Published(90.86, "accuracy"),
    "musiccaps": Published(8.8, "GPT-5 judge"),
    "opencpop": Published(12.9, "WER"),
    "musdb18_lyrics": Published(19.6, "WER"),
}
SONGCAPS: dict[str, Published] = {
    "human": Published(8.3, "listeners, 1 to 10"),
    "coverage": Published(8.8, "judge, 1 to 10"),
    "correctness": Published(8.0, "judge, 1 to 10"),
}


OTHER_SCALES = ("gpt_1_5",)


def published(benchmark: str, measure: str) -> Published | None:
    """The paper's number that a measure of a benchmark is compared with; None where the scale is another."""
    if measure in OTHER_SCALES:
        return None
    return SONGCAPS.get(measure) if benchmark == "songcaps" else PUBLISHED.get(benchmark)
