"""The wire room; see docs/architecture.md."""
