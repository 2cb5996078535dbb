"""The admin room; see docs/architecture.md."""
