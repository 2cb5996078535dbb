"""A child of `up`: says when it serves, and ends when its supervisor is gone, however that died."""

import contextlib
import os
import signal
import threading

PARENT_FD = "WEIR_PARENT_FD"  # the reading end of a pipe that only the supervisor holds open
READY_FD = "WEIR_READY_FD"  # one byte is expected here once the child serves


def follow_supervisor() -> bool:
    """From now on, the supervisor's death is a SIGTERM to this process. False, and nothing done, outside `up`."""
    fd = os.environ.pop(PARENT_FD, "")
    if fd.isdigit():
        threading.Thread(target=_wait_for_the_end, args=(int(fd),), name="follow", daemon=True).start()
    return fd.isdigit()


def say_ready() -> None:
    """Tell the supervisor that this process serves. Does nothing outside `up`."""
    fd = os.environ.pop(READY_FD, "")
    if fd.isdigit():
        with contextlib.suppress(OSError):
            os.write(int(fd), b".")
            os.close(int(fd))


def _wait_for_the_end(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.read(fd, 1)  # returns at the end of the pipe: nobody ever writes
    os.kill(os.getpid(), signal.SIGTERM)
