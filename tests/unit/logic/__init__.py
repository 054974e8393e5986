"""Tests of logic: what it decides by itself. What it decides with the store is in tests/contract and tests/live."""
