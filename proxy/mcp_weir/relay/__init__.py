"""The relay room; see docs/architecture.md."""
