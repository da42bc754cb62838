"""Dead letters: electrons that failed for good, set aside with the reason, and replayed from there."""
