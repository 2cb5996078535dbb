"""The admin port: who may look, whether all is well, and the dashboard mounted on it."""
