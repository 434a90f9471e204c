"""The kinds of jobs by the name that settings give them."""

from music_flamingo.cluster.jobs import JobKind, JobSettings
from music_flamingo.cluster.pytorchjob import PyTorchJobs
from music_flamingo.cluster.trainjob import TrainJobs

KINDS: tuple[JobKind, ...] = (PyTorchJobs(), TrainJobs())


def kind_of(settings: JobSettings) -> JobKind:
    """The kind of job that these settings ask for."""
    return PyTorchJobs() if settings.kind == "pytorchjob" else TrainJobs()
