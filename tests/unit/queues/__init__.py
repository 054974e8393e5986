"""Tests of what carries reports on, without any network."""
