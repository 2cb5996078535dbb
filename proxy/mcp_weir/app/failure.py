"""What goes wrong at the top, in one sentence and an exit code; no traceback."""

import contextlib
import sys
from collections.abc import Iterator

from mcp_weir.errors import Unreachable, UsageError, WeirError


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Ends the process where the block cannot go on: 2 for a usage error, 1 for others, 0 where the reader has left."""
    try:
        yield
    except Unreachable as error:
        _end(f"{error}; does it run there? `mcp-weir doctor` looks closer", 1)
    except WeirError as error:
        _end(str(error), 2 if isinstance(error, UsageError) else 1)
    except (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        _end(f"{error.filename}: {error.strerror}", 1)
    except BrokenPipeError:  # `mcp-weir requests | head`
        sys.stderr.close()
        sys.exit(0)


def _end(why: str, code: int) -> None:
    print(f"mcp-weir: {why}", file=sys.stderr)
    sys.exit(code)
