"""The commands that ask the HTTP API."""
