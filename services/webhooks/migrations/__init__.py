"""The schema of the inbox, step by step."""

HEAD = "0004"
