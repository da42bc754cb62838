"""The gateway's pages for people."""
