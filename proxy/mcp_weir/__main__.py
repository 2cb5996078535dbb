"""`python -m mcp_weir` is the same command as `mcp-weir`."""

from mcp_weir.cli import main

if __name__ == "__main__":
    main()
