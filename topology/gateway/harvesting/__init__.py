"""The catalogue in the words of others: DCAT-AP for harvesters, the Dataspace Protocol, schema.org for search engines."""
