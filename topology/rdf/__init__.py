"""RDF: descriptions in JSON-LD, and their canonical graphs."""
