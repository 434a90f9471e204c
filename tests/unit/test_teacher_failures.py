"""When a run whose calls fail ends in an error, and when it completes."""

import pytest

from music_flamingo.teachers.config import FailureLimit
from music_flamingo.teachers.failures import FailureWatch, TeacherUnusableError


def watch() -> FailureWatch:
    return FailureWatch(FailureLimit(window_calls=100, max_failed_fraction=1.0), "a teacher")


def test_a_run_in_which_nothing_succeeds_ends_in_an_error():
    watched = watch()
    watched.failed("teacher_truncated")
    with pytest.raises(TeacherUnusableError, match="all of them"):
        watched.end()


def test_bad_replies_that_are_bad_again_say_nothing_where_others_were_answered_before():
    watched = watch()
    watched.from_cache()
    watched.failed("teacher_truncated")
    watched.failed("teacher_wrong_shape")
    watched.end()


def test_a_server_that_is_gone_is_an_error_whatever_was_answered_before():
    watched = watch()
    watched.from_cache()
    watched.failed("teacher_unreachable")
    with pytest.raises(TeacherUnusableError, match="teacher_unreachable 1"):
        watched.end()
