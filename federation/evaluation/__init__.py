"""Worker processes that analyse and evaluate queries of strangers, and that the server can end."""
