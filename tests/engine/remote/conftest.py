"""The browser that tests of the page share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from real_parts import missing

from engine.bench.remote import open_chromium
from tpos_models.errors import MissingPart


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(open_chromium())
        except MissingPart as error:
            missing(error)
        yield browser
