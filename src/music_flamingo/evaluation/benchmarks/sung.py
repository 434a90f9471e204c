"""What the lyrics benchmarks share: error rates over a whole corpus, of all that was said and of the answer alone."""

from music_flamingo.evaluation.benchmarks.base import BenchmarkItem, BenchmarkMetric, Grade, Replies
from music_flamingo.scoring.transcripts import Normaliser, word_errors
from music_flamingo.scoring.wrappings import final_answer, without_thoughts


def error_rates(
    official: Normaliser, official_rule: str, strict: Normaliser, strict_rule: str
) -> tuple[BenchmarkMetric, BenchmarkMetric]:
    """`official` reads the whole output, `strict` the answer after the thoughts; a missing one misses every word."""

    def of_output(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
        return Grade(*word_errors(item.reference or "", without_thoughts(output), official))

    def of_answer(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
        return Grade(*word_errors(item.reference or "", final_answer(output) or "", strict))

    return (
        BenchmarkMetric("official", "official", of_output, official_rule, lower_is_better=True),
        BenchmarkMetric("strict", "strict", of_answer, strict_rule, lower_is_better=True),
    )
