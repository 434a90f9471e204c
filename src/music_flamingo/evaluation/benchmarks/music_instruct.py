"""Music Instruct (MusiLingo, Deng et al. 2023): open questions about MusicCaps clips, short answers or long.

Its authors report BLEU, METEOR, ROUGE and BERTScore; the paper to be reproduced has a GPT-5 judge, whose prompt is not
published. Here a judge gives 0 to 10 against the reference, shown in percent, and 1 to 5.
"""

from functools import partial
from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.benchmarks.base import (
    AudioIndex,
    Benchmark,
    BenchmarkItem,
    JudgeTask,
    is_true,
    read_json,
    require_fields,
    require_file,
)
from music_flamingo.evaluation.benchmarks.judged import judged

JUDGE = JudgeTask("gpt_0_10", "judge_gpt_0_10", 0, 10)
JUDGE_1_5 = JudgeTask("gpt_1_5", "judge_gpt_1_5", 1, 5)
"""The other scale that papers use; asked for apart, since a judge's points do not convert."""


def read(folder: Path, length: str) -> list[BenchmarkItem]:
    """Read the questions with short or long answers."""
    name = f"music_instruct_{length}.json"
    path = require_file(folder, name, f"MusicInstruct/{name}")
    told = read_json(path)
    if not isinstance(told, dict) or "QA" not in told:
        raise UserError(f"{path} has no list `QA`: is it the published file?")
    audio, items = AudioIndex(folder), []
    for number, row in enumerate(told["QA"]):
        require_fields(row, ("ytid", "question", "answer", "is_audioset_eval"), path)
        if is_true(row["is_audioset_eval"]):
            items.append(
                BenchmarkItem(
                    id=f"{row['ytid']}#{number}",
                    audio=(audio.find(f"audio/{row['ytid']}.wav"),),
                    question=row["question"],
                    reference=row["answer"],
                    source_ids=(row["ytid"],),
                )
            )
    return items


def _benchmark(length: str) -> Benchmark:
    return Benchmark(
        name=f"music_instruct_{length}",
        title=f"Music Instruct ({length})",
        task="open",
        source=f"Hugging Face m-a-p/Music-Instruct, music_instruct_{length}.json; MusicCaps audio as audio/<ytid>.wav",
        licence="CC BY-NC 4.0",
        citation="Deng et al., MusiLingo: Bridging Music and Text with Pre-trained Language Models, 2023",
        counts=(),
        items=partial(read, length=length),
        files=(f"music_instruct_{length}.json", f"MusicInstruct/music_instruct_{length}.json"),
        prompt_id="benchmark_open",
        measures=(judged(JUDGE, scale=10.0), judged(JUDGE_1_5)),
        judges=(JUDGE, JUDGE_1_5),
    )


LONG, SHORT = _benchmark("long"), _benchmark("short")
