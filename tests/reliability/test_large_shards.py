"""A shard whose sound exceeds 2 GiB is written, read record by record, and read by columns. Takes 7 GiB of memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.reliability, pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_SONGS, SONG_BYTES = 256, 9 * 2**20
"""Five minutes as 16 kHz FLAC take up to 9 MiB: 2.25 GiB in all."""
MAX_RSS_BYTES = 7 * 2**30
CHILD = """
import json, resource, sys
from pathlib import Path
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
from support.songs import make_track
from music_flamingo.core.record import arrow_schema, read_parquet, write_parquet
from music_flamingo.records import Audio, Track

path, count, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sound = bytes(size)
write_parquet(path, Track, [make_track(f"w{n}/0", audio=Audio(bytes=sound, path=f"{n}.flac")) for n in range(count)])
column = pq.read_table(path, columns=["audio"])["audio"]
lengths = pc.binary_length(pc.struct_field(column, "bytes"))
whole = pa.concat_arrays([pc.struct_field(c, "bytes") for c in column.chunks])
del column
total = pc.sum(lengths).as_py()
nbytes = whole.nbytes
del whole
read = sum(len(t.audio.bytes) for t in read_parquet(path, Track))
print(json.dumps({"total": total, "nbytes": nbytes, "read": read,
                  "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def test_a_shard_of_more_than_2_gib_is_written_and_read(tmp_path):
    command = [sys.executable, "-c", CHILD, str(tmp_path / "part-00000.parquet"), str(NUM_SONGS), str(SONG_BYTES)]
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, cwd=tests)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["total"] == found["read"] == NUM_SONGS * SONG_BYTES > 2**31
    assert found["nbytes"] > 2**31
    assert found["rss"] < MAX_RSS_BYTES, f"{found['rss'] / 2**30:.1f} GiB"
