"""Tests without I/O; they mirror the package and run under pytest and trial alike."""
