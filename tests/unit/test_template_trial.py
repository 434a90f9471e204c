"""A chat template is a program: one that never ends, or grows without end, is not served."""

import json
from pathlib import Path

import pytest
from support.listening import heard_well, make_release

from music_flamingo.core.errors import CorruptDataError
from music_flamingo.model.answering import answering_template
from music_flamingo.model.chat import CHAT_TEMPLATE
from music_flamingo.serving.bundle import open_release, seal
from music_flamingo.serving.template_trial import require_ending_templates

COUNTING = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}"
GROWING = "{% set n = namespace(t='aaaaaaaaaaaaaaaa') %}{% for a in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}"


def with_template(folder: Path, template: str, at: str) -> Path:
    folder.mkdir()
    written = template if at.endswith(".jinja") else json.dumps({"chat_template": template})
    (folder / at).write_text(written)
    return folder


@pytest.mark.parametrize(
    ("template", "at"),
    [
        (COUNTING + "{% endfor %}", "chat_template.jinja"),
        (GROWING, "tokenizer_config.json"),
        ("{% if messages | length > 9 %}" + GROWING + "{% endif %}", "chat_template.jinja"),
    ],
    ids=["counts", "grows", "only in a long conversation"],
)
def test_a_chat_template_that_never_ends_is_refused_with_its_file(tmp_path, template, at):
    with pytest.raises(CorruptDataError, match=at):
        require_ending_templates(with_template(tmp_path / "model", template, at))


@pytest.mark.parametrize(
    "template", [CHAT_TEMPLATE, answering_template(CHAT_TEMPLATE), "{{ raise_exception('no system') }}", "{% broken"]
)
def test_any_other_template_passes_even_one_that_is_wrong(tmp_path, template):
    require_ending_templates(with_template(tmp_path / "model", template, "chat_template.jinja"))


def test_a_release_with_a_template_that_never_ends_is_not_opened(tmp_path):
    release = make_release(tmp_path, *heard_well())
    (release / "model" / "chat_template.jinja").write_text(GROWING)
    (release / "checksums.json").unlink()
    seal(release)
    with pytest.raises(CorruptDataError, match="did not come to an end"):
        open_release(release)
