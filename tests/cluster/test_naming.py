"""Whatever a person calls a profile or a run, Kubernetes takes the name that is made of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulated_cluster import settings

from music_flamingo.cluster.jobs import StageJob, named
from music_flamingo.cluster.kinds import kind_of
from music_flamingo.cluster.naming import joined, resource_name
from music_flamingo.core.errors import UserError
from pipelines import __main__ as compiling

TAKEN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@pytest.mark.parametrize(
    ("text", "name"),
    [("My_Profile.v2", "my-profile-v2"), ("--a--B--", "a-b"), ("x" * 70, "x" * 63), ("a" * 62 + "-b", "a" * 62)],
)
def test_a_name_is_made_of_what_a_person_wrote(text, name):
    assert resource_name(text) == name


def test_a_text_without_a_letter_gives_no_name():
    with pytest.raises(UserError, match="'___' gives no name"):
        resource_name("___")


@given(st.text(max_size=90))
def test_every_name_that_is_given_is_one_that_the_server_takes(text):
    try:
        name = resource_name("m" + text)
    except UserError:
        return
    assert TAKEN.fullmatch(name)
    assert len(name) <= 63


def test_a_profile_with_capitals_dots_and_underscores_gives_a_pipeline_version(monkeypatch):
    monkeypatch.setattr(compiling, "default_profile", lambda: "My_Profile.v2")
    version = compiling._names(compiling.music_flamingo).pipeline_version_name
    assert TAKEN.fullmatch(version)
    assert version.endswith("-my-profile-v2")


def test_a_job_of_a_run_with_a_strange_id_has_a_name_too():
    asked = settings()
    work = StageJob("sft", "__Run.1__", ())
    assert TAKEN.fullmatch(named(kind_of(asked).render(asked, work), work, "music", None)["metadata"]["name"])


def test_a_service_whose_predictor_could_not_be_named_is_refused_before_anything_is_changed():
    assert joined("music-flamingo", "r-abababab", "predictor") == "music-flamingo-r-abababab-predictor"
    with pytest.raises(UserError, match="shorten x"):
        joined("x" * 50, "r-abababab", "predictor")
