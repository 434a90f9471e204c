"""Shared by the classification benchmarks: a closed question whose options are all labels, in their fixed order."""

from collections.abc import Sequence

from music_flamingo.evaluation.benchmarks.base import BenchmarkItem


def label_item(
    item_id: str,
    audio: str,
    question: str,
    labels: Sequence[str],
    label: str,
    source_ids: Sequence[str] = (),
    unit: str = "",
) -> BenchmarkItem:
    """`labels` as they are shown; broken down by the true label."""
    return BenchmarkItem(
        id=item_id,
        audio=(audio,),
        question=question,
        options=tuple(labels),
        reference=label,
        answer_index=list(labels).index(label),
        groups=(("category", label),),
        source_ids=(item_id, *source_ids),
        unit=unit,
    )
