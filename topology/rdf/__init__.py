"""RDF: reading descriptions from JSON-LD, canonical graphs, and skolemisation."""
