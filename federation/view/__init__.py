"""A store of every graph at the gateway, which follows the descriptions in a topic; queries run over it in forked processes."""
