"""The exam of composite questions: what is asked, chains read, the ceiling, paired differences, stage and sentences."""

import json
import random
from pathlib import Path

import pytest
from support.listening import CORPUS, EVALUATE, give, give_held_out, make_truth, save_tiny

from music_flamingo.core.errors import ConfigError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Folder, Table
from music_flamingo.core.stage import execute
from music_flamingo.evaluation.card import model_card
from music_flamingo.evaluation.intervals import Mark, difference_interval, mean_difference_interval
from music_flamingo.evaluation.summary import Evaluation, read_evaluation
from music_flamingo.evaluation.thinking import (
    ThinkingDifference,
    ThinkingExam,
    chains_of,
    choose_composites,
    joined_by_logic,
    single_items,
    thinking_results,
)
from music_flamingo.evaluation.thinking_exam import refuse_taught
from music_flamingo.evaluation.thinking_tables import (
    difference_sentences,
    page_of,
    sentences_by_kind,
    thinking_table,
    verdict,
)
from music_flamingo.records import Prediction
from music_flamingo.scoring.families import (
    COMPOSITES,
    FAMILIES,
    HeldOutCombinations,
    check_sentence,
    heard_in_truth,
    parts_asked,
)
from music_flamingo.scoring.families.combinations import combinations_asked
from music_flamingo.stages.evaluate import STAGE

EXAM = {
    "parts": ["drums", "texture", "lead_envelope"],
    "families": ["all_heard", "either_or"],
    "per_track": 2,
    "held_out": None,
}
HALF = HeldOutCombinations(share=0.5, seed=3)
TRUTHS = [
    make_truth(
        work,
        performance,
        texture=("chords", "melody")[work // 2 % 2],
        lead_envelope=("decaying", "sustained")[work // 3 % 2],
    )
    for work in range(12)
    for performance in (0, 1)
]
HEARD = {t.id: heard_in_truth(t, FAMILIES.values()) for t in TRUTHS}


def exam_of(**changes) -> ThinkingExam:
    return ThinkingExam.model_validate({**EXAM, "per_family": 40, **changes})


ITEMS = choose_composites(TRUTHS, exam_of(), 1)


def said(model: str, wrong: float = 0.0, cut: float = 0.0, drawn: str = "greedy", seed: int = 1) -> list[Prediction]:
    """A model that errs in one part with probability `wrong`, and leaves the last check out with probability `cut`."""
    rng = random.Random(seed)
    made = []
    for item in ITEMS:
        parts = parts_asked(item.family, item.question)
        heard = dict(HEARD[item.track_id])
        if rng.random() < wrong:
            name = rng.choice(parts).family
            heard[name] = next(v for v in FAMILIES[name].options if v != heard[name])
        shown = parts[:-1] if rng.random() < cut else parts
        answer = COMPOSITES[item.family].follows(parts, heard)
        thinking = " ".join(check_sentence(part, heard[part.family], "short") for part in shown)
        output = answer if model == "direct" else f"<think>{thinking}</think><answer>{answer}</answer>"
        made.append(
            Prediction(
                id=f"{model}/audio/{item.id}/{drawn}",
                model=model,
                condition="audio",
                track_id=item.track_id,
                work_id=item.work_id,
                family=item.family,
                question=item.question,
                options=list(item.options),
                reference=item.reference,
                output=output,
                answer=answer,
                correct=answer == item.reference,
                drawn=drawn,
            )
        )
    return made


def test_questions_are_spread_over_works_and_answered_by_the_truth():
    few = choose_composites(TRUTHS, exam_of(per_track=1, per_family=12), 1)
    for name in ("all_heard", "either_or"):
        assert len({item.work_id for item in few if item.family == name}) == 12
    for item in ITEMS:
        parts = parts_asked(item.family, item.question)
        assert COMPOSITES[item.family].follows(parts, HEARD[item.track_id]) == item.reference
    assert len({item.id for item in ITEMS}) == len(ITEMS)
    assert choose_composites(TRUTHS[::-1], exam_of(), 1) == ITEMS


def is_held_out(asked) -> bool:
    return HALF.holds_out(parts_asked(asked.family, asked.question))


def test_half_of_the_exam_is_about_parts_that_training_never_asks_about_together():
    asked = choose_composites(TRUTHS, exam_of(held_out=HALF.model_dump(), per_family=20), 1)
    assert len({item.id for item in asked}) == len(asked)
    for name in ("all_heard", "either_or"):
        assert [is_held_out(item) for item in asked if item.family == name].count(True) == 10
        assert len([item for item in asked if item.family == name]) == 20


def test_both_halves_are_scored_and_the_table_and_the_page_name_them():
    by_heart = [p if not is_held_out(p) else wrongly(p) for p in said("direct")]
    answers = {("direct", "audio", "greedy"): by_heart, ("warmup", "audio", "greedy"): said("warmup")}
    scored = thinking_results(answers, 300, 1, HALF)
    by_name = {(row.model, row.family): row.accuracy for row in scored.rows}
    assert (by_name["direct", "taught"], by_name["direct", "held_out"]) == (1.0, 0.0)
    assert by_name["warmup", "held_out"] == 1.0
    gained = {d.family: d.difference for d in scored.differences}
    assert gained["taught"] == 0.0 and gained["held_out"] == 1.0 and 0.0 < gained["all"] < 1.0
    assert "| taught together | never taught together |" in thinking_table(scored)
    shown = page_of(scored)
    assert [answer.question for answer in shown.answers] == [
        "Does thinking pay?",
        "And of parts never taught together?",
    ]
    assert shown.parts[:2] == ("Taught together", "Never taught together")
    assert "never taught" not in thinking_table(thinking_results(answers, 300, 1))


def wrongly(p: Prediction) -> Prediction:
    return p.model_copy(update={"correct": False})


def test_chains_are_whole_and_faithful_by_share():
    assert chains_of(said("grpo")) == (1.0, 1.0)
    whole, faithful = chains_of(said("grpo", cut=0.5))
    assert 0.3 < whole < 0.7 and faithful == whole
    assert chains_of(said("direct")) == (0.0, 0.0)


def single(wrong: str = "") -> list[Prediction]:
    made = []
    for item in single_items(ITEMS):
        answer = HEARD[item.track_id][item.family]
        if item.family == wrong:
            answer = next(o for o in item.options if o != answer)
        template = said("grpo")[0]
        made.append(
            template.model_copy(
                update={"id": f"single/{item.id}", "model": "single", "track_id": item.track_id}
                | {"family": item.family, "options": list(item.options), "answer": answer}
            )
        )
    return made


def test_the_ceiling_joins_single_answers_by_logic():
    assert all(p.correct and p.model == "joined" for p in joined_by_logic(said("grpo"), single()))
    deaf = joined_by_logic(said("grpo"), single(wrong="drums"))
    assert not all(p.correct for p in deaf)
    missing = [p for p in single() if p.family != "texture"]
    assert any(p.answer is None and not p.correct for p in joined_by_logic(said("grpo"), missing))


def results(**wrong):
    answers = {
        (model, "audio", drawn): said(model, wrong.get(model, 0.0), 0.5 if model == "warmup" else 0.0, drawn, seed)
        for seed, model in enumerate(("direct", "warmup", "longer", "grpo"))
        for drawn in ("greedy", "sampled")
    }
    answers["joined", "audio", "greedy"] = joined_by_logic(answers["grpo", "audio", "greedy"], single())
    return thinking_results(answers, 300, 1)


def test_differences_are_paired_and_their_sentence_says_what_the_interval_says():
    found = results(direct=0.9, warmup=0.3, longer=0.3)
    assert {d.family for d in found.differences} == {"all", "all_heard", "either_or"}
    by_pair = {(d.model, d.minus_model, d.drawn): d for d in found.differences if d.family == "all"}
    assert len(by_pair) == 10
    kinds = sentences_by_kind(found.differences)
    assert len(kinds) == 2 and all("warm-up less direct answers" in s and "greedy" in s for s in kinds)
    assert by_pair["grpo", "direct", "greedy"].low > 0
    sentences = difference_sentences(found.differences)
    assert any(s.startswith("Does thinking pay?") and "clearly better (greedy)" in s for s in sentences)
    assert any(s.startswith("Does GRPO pay?") and "(sampled)" in s for s in sentences)
    level = ThinkingDifference(model="grpo", minus_model="warmup", drawn="greedy", difference=0.0, low=-0.1, high=0.1)
    assert verdict(level) == "no clear difference"
    assert verdict(level.model_copy(update={"high": -0.01, "low": -0.2})) == "clearly worse"


def test_a_mean_over_seeds_resamples_the_same_works_in_all_of_them():
    def marks(made):
        return [Mark(p.work_id, p.family, p.reference, p.correct) for p in made]

    pairs = [(marks(said("grpo", 0.1, seed=k)), marks(said("warmup", 0.6, seed=k + 9))) for k in range(3)]
    whole = mean_difference_interval(pairs, 400, 1)
    each = [difference_interval(*pair, 400, 1) for pair in pairs]
    assert whole.value == pytest.approx(sum(e.value for e in each) / 3)
    assert whole.high - whole.low < max(e.high - e.low for e in each)
    assert mean_difference_interval(pairs[:1], 400, 1) == each[0]
    with pytest.raises(ValueError, match="the same questions"):
        mean_difference_interval([pairs[0], (pairs[1][0][::-1], pairs[1][1][::-1])], 400, 1)


def test_card_and_page_show_both_controls_the_ceiling_and_the_chains():
    found = results(direct=0.5)
    table = thinking_table(found)
    for title in ("direct answers (control)", "warm-up continued (control)", "GRPO", "ceiling"):
        assert title in table
    evaluation = Evaluation(note="", chance={}, differences=[], corpus=CORPUS, thinking=found)
    card = model_card("m", "released", [], [], evaluation, {}, "scripted", [], 6.0)
    assert "## Does thinking pay, does GRPO pay?" in card and table.splitlines()[4] in card
    page = page_of(found)
    assert page.num_works == 12 and [line.title for line in page.lines][-1].startswith("ceiling")
    assert {line.whole for line in page.lines if line.title.startswith(("direct", "ceiling"))} == {"-"}


# --- the stage --------------------------------------------------------------------------------------------------------


def test_combinations_that_training_asked_about_cannot_count_as_never_taught(tmp_path):
    rule = HALF.model_dump()
    exam = exam_of(held_out=rule)
    kept = [i for i in ITEMS if not HALF.holds_out(parts_asked(i.family, i.question))]
    asked = combinations_asked((item.family, item.question) for item in kept)
    (tmp_path / "plan.json").write_text(json.dumps({"combinations": asked}))
    refuse_taught(exam, tmp_path)
    all_asked = combinations_asked((item.family, item.question) for item in ITEMS)
    assert len(all_asked) > len(asked)
    (tmp_path / "plan.json").write_text(json.dumps({"combinations": all_asked}))
    with pytest.raises(ConfigError, match=r"evaluate\.thinking\.held_out and synthesize\.composites\.held_out"):
        refuse_taught(exam, tmp_path)
    refuse_taught(exam_of(), tmp_path)


@pytest.fixture(scope="module")
def ports(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("data")
    give_held_out(data, TRUTHS[:8])
    for seed, name in enumerate(("sft_model", "grpo_model")):
        give(data, name, {name: Folder}, lambda seed=seed, **ports: save_tiny(next(iter(ports.values())).root, seed))

    def warm(warmup_model):
        save_tiny(warmup_model.root, 3)
        for seed, name in enumerate(("direct", "longer"), start=4):
            save_tiny(warmup_model.root / "controls" / name, seed)

    give(data, "warmup_model", {"warmup_model": Folder}, warm)
    return data


def test_the_stage_asks_every_model_and_control_greedy_and_sampled(ports, tmp_path):
    config = {**EVALUATE, "families": ["drums"], "max_new_tokens": 4, "thinking": {**EXAM, "per_family": 6}}
    inputs = {name: ports / name for name in STAGE.inputs}
    execute(STAGE, json.dumps(config), inputs, {name: tmp_path / name for name in STAGE.outputs})
    predictions = list(Table(tmp_path / "predictions", Prediction, read_manifest(tmp_path / "predictions")))
    assert len({p.id for p in predictions}) == len(predictions)
    composite = {(p.model, p.condition, p.drawn) for p in predictions if p.family in COMPOSITES}
    models = ("warmup", "grpo", "direct", "longer")
    assert composite == {(m, "audio", d) for m in models for d in ("greedy", "sampled")} | {
        ("grpo", "shuffled", "greedy")
    }
    assert {p.family for p in predictions if p.model == "single"} <= {"drums", "texture", "lead_envelope"}
    thinking = read_evaluation(tmp_path / "scores").thinking
    assert {r.model for r in thinking.rows} == {*models, "joined"}
    assert {(d.model, d.minus_model) for d in thinking.differences} == {
        *(("warmup", "direct"), ("grpo", "direct"), ("grpo", "warmup"), ("grpo", "longer"), ("longer", "warmup"))
    }
    assert set(read_manifest(tmp_path / "scores").metrics["thinking"]) == {*models, "joined"}
