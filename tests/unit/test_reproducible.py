"""What makes a result reproducible: prompts, digests of the questions, items known to be wrong, imports."""

import json
from dataclasses import replace

import pytest
from support.audio_endpoint import AudioEndpoint
from support.benchmark_files import WRITERS, write_json, write_lines

from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.evaluation.benchmarks import BENCHMARKS, find
from music_flamingo.evaluation.benchmarks.provenance import known_wrong, question_files
from music_flamingo.evaluation.command import EvaluationRequest, evaluate
from music_flamingo.evaluation.comparing import compare
from music_flamingo.evaluation.importing import read_predictions, score_file
from music_flamingo.evaluation.manner import read_manner
from music_flamingo.evaluation.outcome import read_items, read_outcome, table_markdown


def prepared(tmp_path, name):
    WRITERS[name][0](tmp_path / "data")
    return EvaluationRequest("", name, tmp_path / "data", tmp_path / "out", "ears", conditions=("audio",),
                             resamples=50)  # fmt: skip


# --- prompts of the user's --------------------------------------------------------------------------------------------


def test_a_prompt_file_gives_template_system_text_and_sampling(tmp_path):
    request = prepared(tmp_path, "gtzan")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "template: 'Q {{ question }} {{ options | join(\" \") }}'\nsystem: Be brief.\ntemperature: 0.7\ntop_p: 0.9\n"
    )
    with AudioEndpoint(lambda words, sound: "jazz") as server:
        outcome = evaluate(replace(request, model=server.url, prompt=path))
        body = server.bodies[0]
        own = evaluate(replace(request, model=server.url, out=tmp_path / "own"))
        assert len(server.bodies) == 6 and "system" not in [m["role"] for m in server.bodies[-1]["messages"]]
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["top_p"]) == (0.7, 0.9)
    assert body["messages"][1]["content"][0]["text"].startswith("Q ") and "(A) blues" in outcome.prompt_shown
    assert outcome.run.system == "Be brief." and "the user's" in outcome.run.prompts
    table = (tmp_path / "out/gtzan/results.md").read_text()
    assert "a template of the user's, with system text, temperature 0.7, top-p 0.9" in table
    assert "the user's" not in own.run.prompts
    with pytest.raises(UserError, match=r"prompts.*prompt_template.*system.*temperature"):
        compare(tmp_path / "out", tmp_path / "own")
    assert evaluate(replace(request, rescore=True)).headline("strict") == outcome.headline("strict")


def test_a_prompt_file_that_asks_nothing_or_says_nonsense_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("Which genre?")
    with pytest.raises(UserError, match="a template holds"):
        read_manner(tmp_path / "a.txt")
    (tmp_path / "b.yaml").write_text("temperature: hot")
    with pytest.raises(UserError, match="temperature"):
        read_manner(tmp_path / "b.yaml")
    (tmp_path / "c.txt").write_text("{{ question }} {{ nothing }}")
    WRITERS["gtzan"][0](tmp_path / "data")
    with pytest.raises(UserError, match="cannot be filled"):
        read_manner(tmp_path / "c.txt").prompt(find("gtzan"), find("gtzan").items(tmp_path / "data")[0])


def test_a_folders_model_takes_a_template_and_no_sampling(tmp_path):
    request = prepared(tmp_path, "gtzan")
    (tmp_path / "p.yaml").write_text("temperature: 0.5")
    with pytest.raises(UserError, match="greedily"):
        evaluate(replace(request, model=str(tmp_path), prompt=tmp_path / "p.yaml"))


# --- question files and wrong items -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_question_files_of_every_benchmark_are_found(name, tmp_path):
    WRITERS[name][0](tmp_path)
    files = question_files(find(name), tmp_path)
    assert files or name == "gtzan"  # its questions are its folders, where the list of test clips is missing
    assert all(digest == sha256_file(tmp_path / path) for path, digest in files.items())


def test_digest_and_version_of_the_questions_stand_in_the_results(tmp_path):
    request = prepared(tmp_path, "mmar_music")
    with AudioEndpoint(lambda words, sound: "Open grassland") as server:
        outcome = evaluate(replace(request, model=server.url))
    assert outcome.run.question_files == {"MMAR-meta.jsonl": sha256_file(tmp_path / "data/MMAR-meta.jsonl")}
    assert "another version" in outcome.run.questions_version
    for text in (
        (tmp_path / "out/mmar_music/results.md").read_text(),
        (tmp_path / "out/mmar_music/index.html").read_text(),
    ):
        assert outcome.run.question_files["MMAR-meta.jsonl"][:12] in text
        assert "MMAU&#39;s evaluation.py" in text or "MMAU's evaluation.py" in text
        assert "package" in text and "seed 0" in text


def test_items_known_to_be_wrong_count_and_a_row_leaves_them_out(tmp_path):
    request = prepared(tmp_path, "mmar_music")
    items = find("mmar_music").items(request.data)
    write_json(tmp_path / "wrong.json", {items[0].id: "No grass is heard.", "elsewhere": "?"})
    said = iter(["Dense forest", "Open grassland"])
    with AudioEndpoint(lambda words, sound: next(said)) as server:
        outcome = evaluate(replace(request, model=server.url, known_wrong=tmp_path / "wrong.json", batch_size=1))
    rows = {r.group: (r.n, r.value) for r in outcome.rows if r.measure == "strict"}
    assert rows["all"] == (2, 50.0) and rows["without items known to be wrong"] == (1, 100.0)
    assert outcome.known_wrong == {items[0].id: "No grass is heard."}
    assert [g.known_wrong for g in read_items(tmp_path / "out/mmar_music")] == ["No grass is heard.", ""]
    write_json(tmp_path / "wrong.json", {"elsewhere": "?"})
    with pytest.raises(UserError, match="names no item"):
        known_wrong(find("mmar_music"), items, tmp_path / "wrong.json")


def test_contradictions_of_a_file_and_corrections_by_its_authors_are_known(tmp_path):
    WRITERS["mmau_pro_music"][0](tmp_path)
    items = find("mmau_pro_music").items(tmp_path)
    assert list(known_wrong(find("mmau_pro_music"), items).values()) == ["its answer is none of its options"]
    twins = [replace(items[0], options=("Yaman", "yaman", "Todi"))]
    assert known_wrong(find("mmau_pro_music"), twins) == {items[0].id: "two of its options have the same words"}
    avqa = [replace(items[0], id="1138", options=(), answer_index=None, source_ids=("00005778",))]
    assert "json_update" in known_wrong(find("music_avqa"), avqa)["1138"]
    assert not known_wrong(find("music_avqa"), [replace(avqa[0], source_ids=("another",))])


def test_truncation_is_seen_and_the_model_is_named_in_every_table(tmp_path):
    request = prepared(tmp_path, "gtzan")

    class Cut(AudioEndpoint):
        def chat(self, body):
            reply = super().chat(body)
            reply["choices"][0]["finish_reason"] = "length"
            return reply

    with Cut(lambda words, sound: "jazz") as server:
        outcome = evaluate(replace(request, model=server.url))
    assert outcome.num_cut == 3
    row = next(line for line in table_markdown([outcome]).split("\n") if "strict" in line)
    assert "| ears |" in row and "| 3 | - | - | - | 84.45" in row
    assert "## By group (ears)" in (tmp_path / "out/gtzan/results.md").read_text()


# --- predictions made elsewhere, and leaderboards ---------------------------------------------------------------------


def test_predictions_made_elsewhere_are_scored(tmp_path, capsys):
    WRITERS["mmar_music"][0](tmp_path / "data")
    items = find("mmar_music").items(tmp_path / "data")
    rows = [
        {"id": items[0].source_ids[0], "answer_prediction": "Open grassland", "thinking_prediction": "Dense forest?"}
    ]
    write_lines(tmp_path / "mine.jsonl", rows)
    command = ["score", str(tmp_path / "mine.jsonl"), "--benchmark", "mmar_music", "--data", str(tmp_path / "data")]
    assert main([*command, "--out", str(tmp_path / "out"), "--model-name", "theirs"]) == 0
    shown = capsys.readouterr().out
    assert "| theirs | strict | 2 | 50.0" in shown and "1 items without one" in shown
    outcome = read_outcome(tmp_path / "out/mmar_music")
    assert outcome.run.predictions == "mine.jsonl" and outcome.run.num_without_prediction == 1
    assert (tmp_path / "out/mmar_music/index.html").is_file()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '[{"id": 7, "model_output": "B"}]'),
        ("a.json", '{"7": "B"}'),
        ("a.json", '{"7": {"model_prediction": "B"}}'),
        ("a.jsonl", '{"question_id": "7", "response": "B"}\n'),
        ("a.jsonl", '{"doc": {"id": "7"}, "resps": [["B"]], "target": "x"}\n'),
        ("a.csv", "id,prediction\n7,B\n"),
        ("a.tsv", "id\toutput\n7\tB\n"),
    ],
)
def test_predictions_are_read_in_the_forms_that_they_come_in(name, text, tmp_path):
    (tmp_path / name).write_text("\ufeff" + text, encoding="utf-8")
    assert [(p.item_id, p.output) for p in read_predictions(tmp_path / name)] == [("7", "B")]


def test_a_file_without_predictions_is_refused_in_words(tmp_path):
    WRITERS["gtzan"][0](tmp_path / "data")
    request = EvaluationRequest("", "gtzan", tmp_path / "data", tmp_path / "out")
    (tmp_path / "a.json").write_text('[{"id": "1", "says": "B"}]')
    with pytest.raises(UserError, match=r"an output \(model_output"):
        score_file(tmp_path / "a.json", request)
    (tmp_path / "a.json").write_text('{"none.of.them": "jazz"}')
    with pytest.raises(UserError, match="is about an item of gtzan"):
        score_file(tmp_path / "a.json", request)
    with pytest.raises(UserError, match="cannot be read"):
        score_file(tmp_path / "missing.json", request)


def test_passes_of_a_vote_are_imported_by_their_ids(tmp_path):
    WRITERS["rul_muchomusic_left_out"][0](tmp_path / "data")
    write_json(tmp_path / "a.json", {f"1740/{n}": "Mellow organ" for n in range(4)})
    outcome = score_file(
        tmp_path / "a.json", EvaluationRequest("", "rul_muchomusic_left_out", tmp_path / "data", tmp_path / "out")
    )
    assert outcome.headline("official").value == 50.0 and outcome.headline("official").n == 2


def test_an_evaluations_own_items_are_scored_alike_when_they_are_imported(tmp_path):
    request = prepared(tmp_path, "gtzan")
    with AudioEndpoint(lambda words, sound: "It is jazz.") as server:
        outcome = evaluate(replace(request, model=server.url))
    again = score_file(tmp_path / "out/gtzan/items.jsonl", replace(request, out=tmp_path / "again"))
    assert again.headline("strict") == outcome.headline("strict")


def test_results_are_written_as_the_harness_writes_them(tmp_path):
    request = prepared(tmp_path, "gtzan")
    with AudioEndpoint(lambda words, sound: "jazz") as server:
        evaluate(replace(request, model=server.url))
    results = json.loads((tmp_path / "out/gtzan/lm_eval_results.json").read_text())
    assert results["results"]["gtzan"]["strict,none"] == pytest.approx(1 / 3)
    assert results["results"]["gtzan"]["strict_stderr,none"] > 0
    assert results["higher_is_better"]["gtzan"]["strict"] and results["model_name"] == "ears"
    assert results["n-samples"]["gtzan"]["effective"] == 3
    lines = (tmp_path / "out/gtzan/lm_eval_samples.jsonl").read_text().strip().split("\n")
    sample = json.loads(lines[0])
    assert len(lines) == 3 and sample["resps"] == [["jazz"]] and {"doc_id", "target", "filtered_resps"} <= set(sample)
