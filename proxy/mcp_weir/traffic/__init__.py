"""The traffic room; see docs/architecture.md."""
