"""Shared by the lyrics benchmarks: error rates over a whole corpus, of the full output and of the answer alone.

The paper names no normaliser for its lyrics rows: its number is put next to `official` and `strict`. The rules that
other papers name (Whisper's, alt-eval's, Chinese folded) are scores of their own: a number is compared with its like.
"""

from collections.abc import Callable

from music_flamingo.evaluation.benchmarks.base import BenchmarkItem, BenchmarkMetric, Grade, Replies
from music_flamingo.scoring.transcripts import Normaliser, word_errors
from music_flamingo.scoring.wrappings import final_answer, without_thoughts


def error_rates(
    official: Normaliser, official_rule: str, strict: Normaliser, strict_rule: str
) -> tuple[BenchmarkMetric, BenchmarkMetric]:
    """`official` reads the whole output, `strict` the answer after the thoughts; a missing one misses every word."""

    def of_answer(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
        return Grade(*word_errors(item.reference or "", final_answer(output) or "", strict))

    return (
        BenchmarkMetric("official", "official", _of_output(official), official_rule, lower_is_better=True),
        BenchmarkMetric("strict", "strict", of_answer, strict_rule, lower_is_better=True),
    )


def named_rate(
    name: str, normalise: Normaliser, rule: str, possible: Callable[[], bool] = lambda: True
) -> BenchmarkMetric:
    """The error rate of the whole output by a rule that papers name; not taken where `possible` says no."""
    of_output = _of_output(normalise)

    def score(item: BenchmarkItem, output: str, replies: Replies) -> Grade | None:
        return of_output(item, output, replies) if possible() else None

    return BenchmarkMetric(name, "own", score, rule, lower_is_better=True)


def _of_output(normalise: Normaliser) -> Callable[[BenchmarkItem, str, Replies], Grade]:
    def score(item: BenchmarkItem, output: str, replies: Replies) -> Grade:
        return Grade(*word_errors(item.reference or "", without_thoughts(output), normalise))

    return score
