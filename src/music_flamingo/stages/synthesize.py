"""synthesize: a teacher turns facts and first captions into a rich caption and questions (paper, MF-Skills, step 2).

For each track: one caption of one sentence and one over six dimensions, each with its structured truth, and 12 to 20
questions in five skills, where the facts allow as many; then composite questions, made of several facts by code. The
order of options is drawn by seed, so that the place of an answer says nothing; options that belong to a question (yes,
no) keep their order. A call that fails leaves an example without words under its reason; the others of the track stand.
"""

import random
from collections import Counter

from pydantic import Field, ValidationError

from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.ranges import Seed
from music_flamingo.core.record import OK
from music_flamingo.core.shards import shard_index
from music_flamingo.core.stage import Metrics, Stage, StageConfig, StageTitle
from music_flamingo.records import Caption, Example, Facts, TeacherStamp, Track, trusted
from music_flamingo.records.caption import PUBLISHED_KIND
from music_flamingo.records.example import Skill
from music_flamingo.scoring.families import COMPOSITES
from music_flamingo.scoring.options import are_drawn
from music_flamingo.sources.conversations.config import ConversationsConfig
from music_flamingo.sources.conversations.importing import import_examples, published_counts
from music_flamingo.teachers import (
    Teacher,
    TeacherConfig,
    TeacherFailedError,
    ask,
    is_settled,
    over_shards,
    request_seed,
    stamp,
    teaching,
)
from music_flamingo.teachers.choosing import choose_questions
from music_flamingo.teachers.payloads import (
    CAPTION_CHARACTERS,
    TITLE_CHARACTERS,
    DistractorsPayload,
    DistractorsReply,
    QuestionsReply,
    SongFacts,
    SongPayload,
    StatedQuestionsReply,
    StructuredPayload,
    StructuredReply,
    TextReply,
    WindowText,
    WrittenQuestion,
    closed_questions,
    cut,
)
from music_flamingo.teachers.scripted.composites import PROMPT_ID, CompositeRule, composite_stamp, write_composites

SKILLS: tuple[Skill, ...] = ("temporal", "attribute", "harmony", "lyrics_vocal", "comparative")
SHORT_REQUEST = "Describe this music in one sentence."
RICH_REQUEST = "Describe this music in full: sound, instruments, words, form, theory and mood."


class SynthesizeConfig(StageConfig):
    """Parameters of `synthesize`."""

    teacher: TeacherConfig
    min_questions: int = Field(ge=1)
    """Tracks with fewer are counted (paper: 12): their facts allow no more."""
    max_questions: int = Field(ge=1)
    """Paper: 20. Questions that training asks for, and the only ones of their skill or type, stay first."""
    min_distractors: int = Field(ge=1)
    max_distractors: int = Field(ge=1)
    """Wrong options of a multiple-choice question (paper: 3 to 8)."""
    states_claims: bool
    """Ask a language model to state what each of its questions claims; one whose text says otherwise is malformed."""
    composites: CompositeRule
    """Questions made of several facts, which come on top of the teacher's."""
    source: ConversationsConfig | None
    """Published conversations about the tracks, in place of what a teacher would write; null for the teacher."""
    seed: Seed

    def identity(self) -> dict[str, object]:
        """Published conversations count by what they hold."""
        return super().identity() | ({"source_sha256": self.source.content_sha256()} if self.source else {})


def write_track(
    config: SynthesizeConfig, teacher: Teacher, track: Track, facts: Facts, captions: list[Caption]
) -> list[Example]:
    """All examples of one track: the two captions, then its questions by skill."""
    assert track.duration_s is not None, "a track that is ok has a duration"
    payload = SongPayload(
        track_id=track.id,
        facts=SongFacts.of(facts, track.duration_s),
        closed=closed_questions(facts),
        captions=[
            WindowText(start_s=c.start_s, end_s=c.end_s, text=cut(c.text, CAPTION_CHARACTERS))
            for c in captions
            if c.is_ok
        ],
        title=cut(track.title, TITLE_CHARACTERS) if track.title else None,
    )
    examples = [
        *_caption(config, teacher, track, payload, "short_caption", SHORT_REQUEST, "short"),
        *_caption(config, teacher, track, payload, "rich_caption", RICH_REQUEST, "full"),
    ]
    asked: list[tuple[Skill, WrittenQuestion]] = []
    for skill in SKILLS:
        try:
            reply = ask(teacher, f"qa_{skill}", payload, _reply_of(config), config.seed)
        except TeacherFailedError as error:
            examples.append(_failed(teacher, track, skill, f"qa_{skill}", error.reason))
        else:
            asked += [(skill, question) for question in reply.questions]
            malformed = _failed(teacher, track, skill, f"qa_{skill}", "malformed_question")
            examples += [malformed] * reply.num_malformed
    chosen = choose_questions(
        asked, config.max_questions, random.Random(request_seed(config.seed, "choose", [track.id]))
    )
    examples += [_question(config, teacher, track, payload, skill, question) for skill, question in chosen]
    examples += _composites(config, track, facts, payload.facts)
    return _with_own_ids(examples)


def _reply_of(config: SynthesizeConfig) -> type[QuestionsReply]:
    """The shape of a reply of questions: with their claims, where a language model is asked to state them."""
    is_asked = config.states_claims and config.teacher.kind != "scripted"
    return StatedQuestionsReply if is_asked else QuestionsReply


def _composites(config: SynthesizeConfig, track: Track, facts: Facts, shown: SongFacts) -> list[Example]:
    """Questions made of several facts: the same for every teacher."""
    rng = random.Random(request_seed(config.seed, PROMPT_ID, [track.id]))
    return [
        _example(track, COMPOSITES[asked.family].skill, asked, asked.options, composite_stamp())
        for asked in write_composites(facts, shown, config.composites, rng)
    ]


def _with_own_ids(examples: list[Example]) -> list[Example]:
    """A family that comes twice gets a number: a model may give two questions one name."""
    seen: Counter[str] = Counter()
    named = []
    for example in examples:
        seen[example.id] += 1
        number = seen[example.id]
        named.append(example if number == 1 else example.model_copy(update={"id": f"{example.id}_{number}"}))
    return named


def _caption(
    config: SynthesizeConfig,
    teacher: Teacher,
    track: Track,
    payload: SongPayload,
    family: str,
    request: str,
    detail: str,
) -> list[Example]:
    """One caption, or none where the facts leave nothing to say."""
    wanted = StructuredPayload.model_validate({**dict(payload), "detail": detail})
    try:
        truth = ask(teacher, "structured_truth", wanted, StructuredReply, config.seed, detail)
        if not truth.categories:
            return []
        text = ask(teacher, family, payload, TextReply, config.seed).text
    except TeacherFailedError as error:
        return [_failed(teacher, track, "caption", family, error.reason)]
    caption = Example(
        id=f"{track.id}/{family}",
        track_id=track.id,
        work_id=track.work_id,
        split=track.split,
        skill="caption",
        type="caption",
        family=family,
        question=request,
        options=[],
        answer=text,
        rationale="",
        references=[],
        structured=truth.categories,
        teacher=stamp(teacher, family),
    )
    return [caption]


def _failed(teacher: Teacher, track: Track, skill: Skill, prompt_id: str, reason: str) -> Example:
    """What stands for the examples that a failed call would have given: no words; prompt id, skill and reason."""
    empty = Example(
        id=f"{track.id}/{prompt_id}",
        track_id=track.id,
        work_id=track.work_id,
        split=track.split,
        skill=skill,
        type="caption" if skill == "caption" else "open",
        family=prompt_id,
        question="",
        options=[],
        answer="",
        rationale="",
        references=[],
        structured=[],
        teacher=stamp(teacher, prompt_id),
    )
    return empty.quarantined(reason)


def _question(
    config: SynthesizeConfig, teacher: Teacher, track: Track, payload: SongPayload, skill: Skill, asked: WrittenQuestion
) -> Example:
    options, reason = _in_drawn_order(config, payload, asked), None
    if asked.wants_distractors:
        try:
            options = _with_distractors(config, teacher, payload, asked)
        except TeacherFailedError as error:
            options, reason = [asked.answer], error.reason
    try:
        example = _example(track, skill, asked, options, stamp(teacher, f"qa_{skill}"))
    except ValidationError:  # a model may call a question multiple choice and give it no options
        return _failed(teacher, track, skill, f"qa_{skill}", "unanswerable")
    return example.quarantined(reason) if reason else example


def _example(
    track: Track, skill: Skill, asked: WrittenQuestion, options: list[str], written_by: TeacherStamp
) -> Example:
    """Raises ValidationError for a question that its options do not answer."""
    return Example(
        id=f"{track.id}/{asked.family}",
        track_id=track.id,
        work_id=track.work_id,
        split=track.split,
        skill=skill,
        type=asked.type,
        family=asked.family,
        question=asked.question,
        options=options,
        answer=asked.answer,
        rationale=asked.rationale,
        references=asked.references,
        structured=[],
        teacher=written_by,
    )


def _in_drawn_order(config: SynthesizeConfig, payload: SongPayload, asked: WrittenQuestion) -> list[str]:
    """A teacher that gives its options itself puts the answer where it likes: they are shuffled, if they may be."""
    if not are_drawn(asked.question, asked.options):
        return asked.options
    order = random.Random(request_seed(config.seed, "place", [payload.track_id, asked.family]))
    return order.sample(asked.options, len(asked.options))


def _with_distractors(
    config: SynthesizeConfig, teacher: Teacher, payload: SongPayload, asked: WrittenQuestion
) -> list[str]:
    wanted = DistractorsPayload(
        track_id=payload.track_id,
        facts=payload.facts,
        family=asked.family,
        question=asked.question,
        answer=asked.answer,
        least=config.min_distractors,
        most=config.max_distractors,
    )
    reply = ask(teacher, "distractors", wanted, DistractorsReply, config.seed, asked.family)
    options = [d for d in dict.fromkeys(reply.distractors) if d != asked.answer]
    place = random.Random(request_seed(config.seed, "place", [payload.track_id, asked.family]))
    options.insert(place.randint(0, len(options)), asked.answer)
    return options


def run(
    config: SynthesizeConfig,
    tracks: Table[Track],
    facts: Table[Facts],
    captions: Table[Caption],
    candidates: Writer[Example],
) -> Metrics:
    """Write rich captions and questions by the teacher, shard by shard, or take them from a publication."""
    if config.source is not None:
        import_examples(config.source, tracks, candidates)
        return _metrics(config, candidates) | {"teacher": PUBLISHED_KIND, "published": published_counts(candidates)}
    pending = [i for i in map(shard_index, tracks.shards) if not is_settled(candidates, i)]
    shards = ((i, _songs(tracks.read_shard(i), facts.read_shard(i), captions.read_shard(i))) for i in pending)
    with (
        teaching(config.teacher, "synthesize", candidates.root) as teacher,
        Progress("synthesize", len(pending), "shards") as progress,
    ):

        def write(song: tuple[Track, Facts, list[Caption]]) -> list[Example]:
            return write_track(config, teacher, *song)

        for index, written in over_shards(teacher.concurrency, shards, write):
            candidates.write(index, [example for examples in written for example in examples])
            progress.advance()
    return _metrics(config, candidates)


def _songs(
    tracks: list[Track], facts: list[Facts], captions: list[Caption]
) -> list[tuple[Track, Facts, list[Caption]]]:
    """The tracks of a shard that have facts, each with its first descriptions."""
    known = {f.id: trusted(f) for f in facts if f.is_ok}
    described: dict[str, list[Caption]] = {}
    for caption in captions:
        described.setdefault(caption.track_id, []).append(caption)
    return [(t, known[t.id], described.get(t.id, [])) for t in tracks if t.is_ok and t.id in known]


def _metrics(config: SynthesizeConfig, candidates: Writer[Example]) -> Metrics:
    """How many questions each track got, and of which skill and type."""
    columns = candidates.columns("track_id", "skill", "type", "family", "status").to_pydict()
    made = [row[:4] for row in zip(*columns.values(), strict=True) if row[4] == OK]
    rows = [row[:3] for row in made if row[1] != "caption" and row[3] not in COMPOSITES]
    per_track = Counter(track_id for track_id, _, _ in rows)
    return {
        "teacher": config.teacher.kind,
        "num_tracks": len(per_track),
        "num_questions": len(rows),
        "num_composite": sum(row[3] in COMPOSITES for row in made),
        "tracks_with_few_questions": sum(n < config.min_questions for n in per_track.values()),
        "skills": dict(sorted(Counter(skill for _, skill, _ in rows).items())),
        "types": dict(sorted(Counter(kind for _, _, kind in rows).items())),
    }


STAGE = Stage(
    name="synthesize",
    title=StageTitle(
        "Annotation", "Synthesize", "Rich captions and questions in five skills, written from facts and captions."
    ),
    config=SynthesizeConfig,
    inputs={"tracks": Track, "facts": Facts, "captions": Caption},
    outputs={"candidates": Example},
    run=run,
)
