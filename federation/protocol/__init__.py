"""The SPARQL 1.1 Protocol, and all that is told over HTTP."""
