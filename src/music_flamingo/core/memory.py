"""Limit the memory of a block of code (MemoryError beyond it), and pause the garbage collector meanwhile."""

import gc
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE_BYTES = resource.getpagesize()


@contextmanager
def limited_memory(num_bytes: int) -> Iterator[None]:
    """Let the process reserve `num_bytes` more than now. A lower limit that is set already stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE_BYTES + num_bytes
    caps = [wanted, *(cap for cap in (soft, hard) if cap != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(caps), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """Put off the search for unreachable cycles: among millions of small records, which have none, it costs a third."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
