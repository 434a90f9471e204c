"""Prometheus metrics at `/metrics`, in addition to KServe's own."""

from prometheus_client import Counter, Gauge, Histogram

PREFIX = "music_flamingo_"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

QUEUE = Gauge(f"{PREFIX}queue", "Requests that wait for a place in the batch")
BATCH_SIZE = Histogram(f"{PREFIX}batch_size", "Rows of each step of the model", buckets=(1, 2, 4, 8, 16, 24, 32))
AUDIO_SECONDS = Counter(f"{PREFIX}audio_seconds", "Seconds of recordings received")
RECORDINGS = Counter(f"{PREFIX}recordings", "Recordings by whether they were known already", ("cache",))
TIME_TO_FIRST_WORD = Histogram(f"{PREFIX}time_to_first_word_seconds", "From the request's last byte", buckets=_SECONDS)
REQUEST_SECONDS = Histogram(f"{PREFIX}request_seconds", "From the request's last byte to its answer", buckets=_SECONDS)
NEW_TOKENS = Counter(f"{PREFIX}new_tokens", "Tokens that the model said")
PROMPT_TOKENS = Counter(f"{PREFIX}prompt_tokens", "Tokens that the model read", ("kind",))
TOKENS_PER_SECOND = Histogram(
    f"{PREFIX}tokens_per_second", "Of an answer, after its first word", buckets=(1, 5, 10, 20, 50, 100, 200, 500, 1000)
)
ERRORS = Counter(f"{PREFIX}errors", "Requests refused or failed, by reason", ("reason",))
