"""The analysis of a query: its plan says which quads it can match, and which of its parts nodes can evaluate."""
