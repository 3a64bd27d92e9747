"""Migrations whose second statement fails, for the tests of `libs.sql.migrations`."""

HEAD = "0001"
