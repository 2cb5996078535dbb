"""`python -m mcp_weir` is the same command as `mcp-weir`."""

import os
import sys

if __name__ == "__main__":
    if "WEIR_READY_FD" in os.environ and sys.argv[1] in ("relay", "recorder"):  # a child of `up`
        from mcp_weir.app.part import main
    else:
        from mcp_weir.cli import main
    main()
