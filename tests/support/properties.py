"""How property tests run: the same examples on every machine and every run, and no deadline on a busy one."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

steady = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
