"""Nothing malformed passes and nothing splits (P2): the classes of the public catalogues, in every combination.

The judge is the upstream: it counts what reached it. A request that carries the word `smuggled` in its target may
never arrive; of the outer request none arrives, or one whose target, headers and body are what was meant.
"""

from typing import Any

from relay.smuggling import corpus, judge, send_all


def test_the_corpus_is_large() -> None:
    assert len(set(corpus())) >= 900


def test_no_input_splits(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    cases = list(dict.fromkeys(corpus()))
    sent = send_all(weir(server).port, server, cases)
    for one in sent:
        judge(one)
    assert len(server.requests) < len(cases) / 4, "most are refused"
