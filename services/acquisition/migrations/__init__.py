"""The schema of the acquisition service, revision by revision."""

HEAD = "0005"
