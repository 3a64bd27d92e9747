"""Migrations whose second revision can be stopped on its way, for tests that end processes there."""

HEAD = "0002"
