"""How long a live look is shown again."""

import pytest

from mcp_weir.dashboard.live import shared_for


@pytest.mark.parametrize(("took", "shown"), [(0.0, 1.5), (0.05, 1.5), (1.0, 10.0), (60.0, 30.0)])
def test_a_page_left_open_costs_a_tenth_of_a_core_at_most(took: float, shown: float) -> None:
    assert shared_for(took) == shown
