"""The way to a Redis: its address, and a connection that comes back."""
