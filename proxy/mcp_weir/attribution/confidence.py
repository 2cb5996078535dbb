"""How often a row of a derived session is right: measured, see docs/sessions.md and `make truth`."""

_MEASURED = {  # share of a session's requests that belong with a given one of them (B-cubed precision)
    ("handle", "handle"): 1.0,
    ("handle", "connection"): 1.0,
    ("handle", "counter"): 0.99,
    ("handle", "choice"): 0.94,
    ("principal", "single"): 1.0,
    ("principal", "connection"): 1.0,
    ("principal", "counter"): 0.98,
    ("principal", "alone"): 0.99,
    ("principal", "gap"): 0.85,
    ("principal", "choice"): 0.69,
    ("client", "single"): 1.0,
    ("client", "connection"): 1.0,
    ("client", "counter"): 0.95,
    ("client", "alone"): 0.9,
    ("client", "gap"): 0.8,
    ("client", "choice"): 0.59,
    ("request", "single"): 1.0,
}
_OTHERWISE = 0.5
_AT_MOST = 0.99  # what was right in every measured case is still derived: 1 is for what the protocol says


def confidence(source: str, evidence: str) -> float:
    """By the rung a session stands on and the weakest evidence that joined a request to it."""
    return min(_AT_MOST, _MEASURED.get((source, evidence), _MEASURED.get(("principal", evidence), _OTHERWISE)))
