"""The recorder room; see docs/architecture.md."""
