"""Forms in which models answer, made by the thousand: each names one option, or none, whatever the options are."""

import json
from pathlib import Path

import pytest

from music_flamingo.scoring.choices import parse_choice
from music_flamingo.scoring.wrappings import final_answer, without_thoughts

SETS = (
    ("Violin", "Cello", "Piano", "Flute"),
    ("Slow ballad", "Fast reel", "March", "Waltz"),
    ("To mark the entry of the choir", "To slow the pulse down", "To repeat the theme", "To end the piece"),
    ("major", "minor"),
    ("Jazz", "Hip hop", "Rock", "Blues", "Reggae"),
    ("120 BPM", "90 BPM", "60 BPM", "180 BPM"),
)
RIGHT = 1
NAMED = (
    *(
        "{w}",
        "{w}.",
        "  {w}\n",
        '"{w}"',
        "**{w}**",
        "*{w}*",
        "`{w}`",
        "- {w}",
        "• {w}",
        "> {w}",
        "{W}",
        "{w}!",
        "✅ {w}",
    ),
    *(
        "{l}",
        "({l})",
        "[{l}]",
        "{l})",
        "{l}.",
        "{l}:",
        "({l}",
        "[[{l}]]",
        "<{l}>",
        "**{l}**",
        "`{l}`",
        "{low}",
        "({low})",
    ),
    *("{l}. {w}", "({l}) {w}", "{l}) {w}", "{l}: {w}", "{l} - {w}", "{l} – {w}", "{l}, {w}", "{l} {w}", "{l}\t{w}"),
    *("**{l}. {w}**", "**({l}) {w}**", "({l}){w}", "{w} ({l})", "{w} - {l}", "{l} | {w}", "{l} = {w}", "Option {l}"),
    *("Option {l}: {w}", "option {l}.", "The {n} option.", "The {n} choice", "Choice {l}", "{l} (about 70% sure)"),
    *("The answer is {l}.", "The answer is ({l}).", "The answer is {w}.", "The answer is ({l}) {w}.", "Answer: {l}"),
    *(
        "Answer: {w}",
        "**Answer:** {l}",
        "**Answer: {l}**",
        "Final answer: {l}",
        "Final Answer: ({l}) {w}",
        "Answer {l}",
    ),
    *("The correct answer is {l}. {w}", "The correct option is {l}.", "The best choice is {w}.", "My answer is {l}"),
    *(
        "Correct answer: {l}. {w}.",
        "So the answer is {l}.",
        "Hence the final answer is {w}.",
        "I choose {l}.",
        "I pick {l}",
    ),
    *(
        "I would choose {l}.",
        "I'd go with {l}",
        "I would say the answer is {l}.",
        "My guess is {l}.",
        "I select ({l}).",
    ),
    *(
        "It is clear.\nAnswer: {l}",
        "Let me think.\n\n{l}",
        "{l}\n\nBecause of the sound.",
        "## Answer\n{l}",
        "{l}\nassistant",
    ),
    *(
        "assistant\n{l}",
        "model\n{w}",
        "{l}<|im_end|>",
        "{w}</s>",
        "<b>{l}</b>",
        "<answer>{l}</answer>",
        "<ANSWER>{l}</ANSWER>",
    ),
    *("<answer>{w}</answer>", "<answer>({l}) {w}</answer>", "<think>{o}? No.</think>{l}", "<think>{o}</think>\n{w}"),
    *("<think>{o}</think><answer>{l}</answer>", "<thinking>{o}</thinking>{w}", "<reasoning>{o}</reasoning>\n({l})"),
    *(
        "<response>{l}</response>",
        "<think>a</think>{l}</think>",
        "\\boxed{{{l}}}",
        "$\\boxed{{{l}}}$",
        "\\boxed{{{w}}}",
    ),
    *(
        "\\boxed{{\\text{{{w}}}}}",
        "The answer is $\\boxed{{\\text{{{l}}}}}$.",
        "Thus \\boxed{{{l}. {w}}}",
        "\\[\\boxed{{{l}}}\\]",
    ),
    *(
        '{{"answer": "{l}"}}',
        '{{"answer": "{w}"}}',
        '```json\n{{"answer": "{l}", "why": "heard"}}\n```',
        '{{"Answer": "({l})"}}',
    ),
    *(
        '{{"choice": "{l}"}}',
        '{{"final_answer": "{l}. {w}"}}',
        "Answer: {l}\nI hope this helps!",
        "Answer: {l}\n\nThanks.",
    ),
    *(
        "{f}",
        "（{f}）",
        "{f}．",
        "（{l}）{w}",
        "答案是{l}",
        "答案：{l}",
        "答案是 {l}。",
        "正确答案是{l}",
        "我选{l}",
        "选项{l}",
        "答えは{l}",
    ),
    *(
        "答え：{l}",
        "정답은 {l}",
        "정답: {l}",
        "Antwort: {l}",
        "Die Antwort ist {l}.",
        "Die richtige Antwort ist {l}.",
        "Ответ: {l}",
    ),
    *(
        "Réponse : {l}",
        "La réponse est {l}.",
        "La respuesta es {l}.",
        "Respuesta: {l}",
        "La risposta è {l}",
        "A resposta é {l}.",
    ),
    *(
        "{l}. {w}. The others do not fit: {o} is something else.",
        "({l}) since there is no sign of {o}",
        "{l}, as it is heard",
    ),
    *("{w}, not {o}.", "{w} rather than {o}.", "It is not {o}. The answer is {l}.", "The answer is {w}, and not {o}."),
    *("The answer is {l} because nothing suggests {o}.", "Answer: {l}. I cannot hear {o}.", "{w}. I do not hear {o}."),
    *(
        "[[{ol}]] at first, but then: [[{l}]]",
        "Not {o}: I choose {l}.",
        "{l} because it fits",
        "{w}; {o} is not heard.",
    ),
)
SPOKEN = (
    "It is {w}.",
    "I think it is {w}.",
    "This is {w}.",
    "Probably {w}.",
    "I believe this is {w}, because of its sound.",
)
"""Said of options that are names of things; `To end the piece` is none."""
NOTHING = (
    *(
        "",
        "   ",
        "\n",
        "I",
        "Z",
        "?",
        "{w}?",
        "Is it {w}?",
        "Could it be {w}?",
        "It is not {w}.",
        "It isn't {w}.",
        "Not {w}",
    ),
    *(
        "It isn’t {w}",
        "It isnt {w}.",
        "The answer is not {l}.",
        "The answer is not {w}.",
        "{w} is absent.",
        "{w} is not heard.",
    ),
    *(
        "There is no {w}.",
        "I doubt that it is {w}.",
        "I refuse to say whether it is {w}.",
        "Sorry, I cannot tell if it is {w}.",
    ),
    *(
        "I am unable to hear {w}.",
        "I am not able to say whether it is {w}.",
        "It is hardly {w}.",
        "It can't be {w}.",
        "never {w}",
    ),
    *(
        "It could be {w}, or something else.",
        "Maybe {w}.",
        "Perhaps it is {w}.",
        "It might be {w}.",
        "Either {w} or {o}.",
    ),
    *(
        "{w} or {o}",
        "{w} / {o}",
        "{w}, {o}",
        "{w} and {o}",
        "{l} or {ol}",
        "{l}, {ol}",
        "({l}) or ({ol})",
        "Neither {w} nor {o}.",
    ),
    *(
        "None of the above",
        "None of them.",
        "All of the above",
        "I do not know.",
        "I don't know.",
        "No idea.",
        "N/A",
        "unknown",
    ),
    *(
        "The options are {all}.",
        "{all}",
        "Choose from {all}.",
        "{list}",
        "{lines}",
        "<think>{w}",
        "<think>It is {w}</think>",
    ),
    *(
        "<think>{l}</think>",
        "<answer>{w}",
        "<answer></answer>",
        "I cannot hear the recording.",
        "Please play the audio again.",
    ),
    *("It is hard to say whether it is {w}.", "Impossible to tell if this is {w}.", "As an AI I cannot listen to {w}."),
    *(
        "我不知道。",
        "Ich weiß es nicht.",
        "({ol}) {w}",
        "{ol}. {w}",
        "{w}. No, {o}.",
        "{w}. Or {o}.",
        "{w}... wait, {o}",
    ),
)


def said(form: str, options: tuple[str, ...]) -> str:
    letters = "ABCDE"
    other = len(options) - 1 if len(options) > 2 else 0
    word = options[RIGHT]
    return form.format(
        w=word,
        W=word.upper(),
        l=letters[RIGHT],
        low=letters[RIGHT].lower(),
        f=chr(ord("Ａ") + RIGHT),
        n="second",
        o=options[other],
        ol=letters[other],
        all=", ".join(options),
        list=" ".join(f"({letter}) {option}" for letter, option in zip(letters, options, strict=False)),
        lines="\n".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=False)),
    )


@pytest.mark.parametrize("options", SETS, ids=lambda options: options[0])
def test_an_answer_is_read_in_every_common_form(options):
    missed = [form for form in NAMED if parse_choice(said(form, options), options) != RIGHT]
    assert not missed


@pytest.mark.parametrize("options", [SETS[0], SETS[1], SETS[4]], ids=lambda options: options[0])
def test_a_name_is_read_in_a_sentence(options):
    assert not [form for form in SPOKEN if parse_choice(said(form, options), options) != RIGHT]


@pytest.mark.parametrize("options", SETS, ids=lambda options: options[0])
def test_what_answers_nothing_is_never_read(options):
    read = [form for form in NOTHING if parse_choice(said(form, options), options) is not None]
    assert not read


YES_NO = ("yes", "no")


@pytest.mark.parametrize(
    ("output", "place"),
    [
        *(("Yes, it is.", 0), ("No, it is not.", 1), ("No, it isn't.", 1), ("No.", 1), ("Yes!", 0), ("No", 1)),
        *(("No, there is no drum.", 1), ("Yes, there is no doubt.", 0), ("The answer is no.", 1), ("Answer: No", 1)),
        *(("No. The violin is not heard.", 1), ("<think>yes?</think>No, they do not play together.", 1), ("是的", 0)),
        *(("不是", 1), ("Nein.", 1), ("I do not know.", None), ("Yes or no?", None), ("Yes and no", None), ("B", 1)),
    ],
)
def test_a_denial_inside_the_option_is_no_denial_of_it(output, place):
    assert parse_choice(output, YES_NO) == place


def test_options_that_hold_denials_are_read_as_others_are():
    options = ("It never returns", "There is no drum", "Without words", "It does not change")
    for place, option in enumerate(options):
        for form in ("{}", "{}.", "The answer is {}.", "({l}) {}", "Answer: {}", "I choose {l}. {}"):
            assert parse_choice(form.format(option, l="ABCD"[place]), options) == place, (form, option)


def test_a_last_line_that_cannot_be_read_cancels_no_answer_before_it():
    options = SETS[0]
    for end in ("I hope this helps!", "The answer is based on what I hear.", "Answer: see above.", "Let me know."):
        assert parse_choice(f"The answer is (B) Cello.\n{end}", options) == 1, end


def test_thoughts_never_enter_an_answer():
    for tags in (("<think>", "</think>"), ("<Thinking>", "</Thinking>"), ("<reasoning>", "</reasoning>")):
        output = f"{tags[0]}Violin or Piano?{tags[1]}Cello"
        assert without_thoughts(output) == final_answer(output) == "Cello"
    assert without_thoughts("<think>a</think><answer>Cello</answer>") == "Cello"
    assert without_thoughts("<think>Cello, I thi") == ""
    assert without_thoughts("Cello ") == "Cello"
    assert without_thoughts("a violin?</think>Cello") == "Cello"


CASES = json.loads((Path(__file__).parents[1] / "data/answer_forms.json").read_text(encoding="utf-8"))


def test_clear_answers_of_many_kinds_are_read():
    missed = [c["output"] for c in CASES["clear"] if parse_choice(c["output"], c["options"]) != c["right"]]
    assert len(CASES["clear"]) >= 60 and not missed


def test_refusals_hedges_and_lists_of_many_kinds_are_no_answer():
    read = [c["output"] for c in CASES["nothing"] if parse_choice(c["output"], c["options"]) is not None]
    assert len(CASES["nothing"]) >= 30 and not read


def test_a_letter_names_nothing_where_options_were_shown_without_letters():
    assert parse_choice("B", ("yes", "no"), lettered=False) is None
    assert parse_choice("B cello", ("violin", "cello"), lettered=False) == 1


def test_a_letter_is_the_option_of_its_name_where_options_are_letters():
    assert parse_choice("The answer is B.", ("Verse", "B", "A", "Coda")) == 1


def test_the_cases_that_lie_outside_the_repository_are_read_too():
    path = Path(__file__).parents[3] / "shared/cases/answer_forms.json"
    if not path.is_file():
        pytest.skip("the cases lie in ../shared/cases, which is not here")
    cases = json.loads(path.read_text(encoding="utf-8"))
    right = cases["options"].index(cases["right"])
    assert not [output for output in cases["reads_as_right"] if parse_choice(output, cases["options"]) != right]
    assert not [o for o in cases["reads_as_nothing"] if parse_choice(o, cases["options"]) is not None]
