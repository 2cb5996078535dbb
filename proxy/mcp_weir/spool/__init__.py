"""The spool room; see docs/architecture.md."""
