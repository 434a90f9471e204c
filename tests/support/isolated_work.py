"""What goes wrong in a process of `Isolated`, in a module that is soon imported there."""

import os
import signal
import threading


def dies_while_it_answers(delay_s: float) -> bytes:
    """Killed with its answer in the pipe: by the system, say, for its memory."""
    threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return b"x" * (200 if delay_s > 1 else 2 * 10**8)


def stuck(forever: bool) -> str:
    """In native code, where no signal's handler of Python runs."""
    if forever:
        (lock := threading.Lock()).acquire()
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
        lock.acquire()
    return "free"
