"""The forms in which nodes get their queries."""

from __future__ import annotations

from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from federation.fetching.forms import quoted


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("% +<>?&=\n\té𝒳a1~-_."))
def test_a_text_is_quoted_as_the_standard_library_does(text: str) -> None:
    assert quoted(text) == quote_plus(text)
