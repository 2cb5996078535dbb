"""The same reads as the dashboard's, as terminal tables and JSON. May import store; prints nothing itself."""
