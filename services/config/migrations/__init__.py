"""The schema of the config service, revision by revision."""

HEAD = "0004"
