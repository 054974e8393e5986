"""Tests of where a Redis is, without any network."""
