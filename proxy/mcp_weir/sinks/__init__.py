"""The sinks room; see docs/architecture.md."""
