"""Cache of finished calls, by content: a paid call is never made twice, across runs and kills.

One SQLite file in WAL mode, shared by threads and by the processes of one machine. A call is committed before its
reply is used, in one write that outlives a kill -9 of the process (a power cut may take the last few, and tears
nothing). The file must lie on a disk of the machine: WAL does not work over NFS.
"""

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from music_flamingo.core.errors import UserError

FILE_NAME = "calls.sqlite"
WAIT_FOR_OTHERS_S = 60.0
RECENT = 20_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key BLOB PRIMARY KEY,
    model TEXT NOT NULL,
    prompt_id TEXT NOT NULL,
    content TEXT NOT NULL,
    reasoning TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL
)
"""


@dataclass(frozen=True)
class CallTokens:
    """As the server counted them, or estimated where it does not say. Reasoning is part of the completion."""

    prompt: int = 0
    completion: int = 0

    def __add__(self, other: "CallTokens") -> "CallTokens":
        return CallTokens(self.prompt + other.prompt, self.completion + other.completion)


@dataclass(frozen=True)
class Finished:
    """A reply as the model gave it."""

    content: str
    reasoning: str
    """What it thought before it replied, where the server gives it apart."""
    tokens: CallTokens


class CallCache:
    """Key (hex digest) -> finished call. Safe in threads; other processes may read and write the same folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                self.path, timeout=WAIT_FOR_OTHERS_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(SCHEMA)
        except sqlite3.Error as error:
            raise UserError(
                f"the cache of teacher calls {self.path} cannot be used: {error}. It must lie on a disk that this "
                "machine may write; move it away if it is damaged, and its calls are asked again."
            ) from error

    def get(self, key: str) -> Finished | None:
        """Look a finished call up by its key (SHA-256 in hex); None where it is not cached."""
        query = "SELECT content, reasoning, prompt_tokens, completion_tokens FROM calls WHERE key = ?"
        with self._lock:
            row = self._connection.execute(query, (bytes.fromhex(key),)).fetchone()
        return Finished(row[0], row[1], CallTokens(row[2], row[3])) if row else None

    def put(self, key: str, model: str, prompt_id: str, finished: Finished) -> None:
        """On disk when it returns. A key that is there is replaced."""
        tokens = finished.tokens
        row = (bytes.fromhex(key), model, prompt_id, finished.content, finished.reasoning, *vars(tokens).values())
        with self._lock:
            self._connection.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def mean_completion_tokens(self, model: str) -> dict[str, float]:
        """Prompt id -> tokens of a reply, over the last RECENT calls."""
        query = """
            SELECT prompt_id, avg(completion_tokens) FROM (SELECT * FROM calls ORDER BY rowid DESC LIMIT ?)
            WHERE model = ? GROUP BY prompt_id
        """
        with self._lock:
            return dict(self._connection.execute(query, (RECENT, model)).fetchall())

    def __len__(self) -> int:
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM calls").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()
