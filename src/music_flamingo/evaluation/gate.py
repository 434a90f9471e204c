"""Release gate: on held-out pieces, the model must beat both controls by two rules.

1. Over all families, GRPO with the true audio is better than GRPO with another work's audio and than GRPO with
   silence: the lower end of each paired 95 % interval lies above zero.
2. In at least `min_families` families it is `min_margin` better than the highest of its controls and chance.

A score that says nothing is refused too: an interval over very few works is narrow for no good reason.

Where the source knows no truth, agreement with held-out facts takes the place of accuracy, and the first rule alone is
asked: a model that hears nothing is refused. Too few works leave it unevaluated.
"""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from music_flamingo.core.ranges import CountOrNone, Fraction
from music_flamingo.evaluation.summary import ALL, CONTROLS, Difference, Evaluation
from music_flamingo.evaluation.tables import CONDITION_TITLES
from music_flamingo.records import Score
from music_flamingo.scoring.families import SHORT_CAPTION

CANDIDATE = "grpo"


class ReleaseGate(BaseModel):
    """What a release must reach."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    min_families: CountOrNone
    """Families that must be heard clearly."""
    min_margin: Fraction
    """How much better than its highest control a clearly heard family is; 0.20 is 20 points."""
    min_works: CountOrNone
    """Fewer held-out works than this prove nothing: resampling them hardly varies."""


def reasons_against(scores: Sequence[Score], evaluation: Evaluation, gate: ReleaseGate) -> list[str]:
    """Why the model must not be released; empty when it may."""
    own = {(s.condition, s.family): s for s in scores if s.model == CANDIDATE}
    if ("audio", ALL) not in own:
        return [f"there is no overall score of `{CANDIDATE}`"]
    return [
        *_too_few_works(own["audio", ALL], gate),
        *_not_above_controls(evaluation.differences),
        *_too_few_families(scores, evaluation.chance, gate),
    ]


def too_few_to_examine(scores: Sequence[Score], gate: ReleaseGate) -> str:
    """What to say of a folder with too few held-out works to be examined by facts; empty where there are enough."""
    overall = next((s for s in scores if (s.model, s.condition, s.family) == (CANDIDATE, "audio", ALL)), None)
    reasons = _too_few_works(overall, gate) if overall else ["no overall score"]
    return reasons[0] if reasons else ""


def reasons_by_facts(evaluation: Evaluation) -> list[str]:
    """Why a model that was examined by facts must not be released: it hears nothing. How well it hears, they do not
    say: tools err as well, so its margins are no ground for a refusal."""
    return _not_above_controls(evaluation.differences)


def margins(scores: Sequence[Score], chance: Mapping[str, float]) -> dict[str, float]:
    """Family of questions -> accuracy with the true audio less the highest of both controls and chance."""
    own = {(s.condition, s.family): s.accuracy for s in scores if s.model == CANDIDATE}
    families = [f for condition, f in own if condition == "audio" and f not in (ALL, SHORT_CAPTION)]
    controls = {f: max(chance[f], *(own[control, f] for control in CONTROLS)) for f in families}
    # 0.7 - 0.5 is 0.19999999999999996: what is 20 points must count as 20 points
    return {f: round(own["audio", f] - controls[f], 9) for f in families}


def _too_few_works(overall: Score, gate: ReleaseGate) -> list[str]:
    if overall.num_works >= gate.min_works:
        return []
    return [f"{overall.num_works} held-out works were asked about; the gate wants {gate.min_works}"]


def _not_above_controls(differences: Sequence[Difference]) -> list[str]:
    lows = {
        d.minus_condition: d.low
        for d in differences
        if d.model == d.minus_model == CANDIDATE and d.family == ALL and d.minus_condition in CONTROLS
    }
    reasons = []
    for control in CONTROLS:
        if control not in lows:
            reasons.append(f"GRPO was not compared with {CONDITION_TITLES[control]}")
        elif lows[control] <= 0:
            reasons.append(
                f"GRPO is not clearly better than with {CONDITION_TITLES[control]}: the 95 % interval of the "
                f"difference begins at {100 * lows[control]:+.1f} points"
            )
    return reasons


def _too_few_families(scores: Sequence[Score], chance: Mapping[str, float], gate: ReleaseGate) -> list[str]:
    found = margins(scores, chance)
    clear = [family for family, margin in found.items() if margin >= gate.min_margin]
    if len(clear) >= gate.min_families:
        return []
    told = ", ".join(f"{family} {100 * margin:+.0f}" for family, margin in found.items())
    return [
        f"{len(clear)} families are at least {100 * gate.min_margin:.0f} points above their controls and chance; "
        f"the gate wants {gate.min_families} (margins in points: {told or 'none'})"
    ]
