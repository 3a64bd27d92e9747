"""Migrations as a service has them, for the tests of `libs.sql.migrations`."""

HEAD = "0002"
