"""Text from elsewhere, made safe to show."""


def printable(text: str) -> str:
    """Escape every character that a terminal might obey, or not show."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
