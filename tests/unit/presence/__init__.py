"""Tests of the way between nodes, without any network."""
