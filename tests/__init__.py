"""The tests: unit (no I/O), contract (one suite a port), live (real processes and sockets)."""
