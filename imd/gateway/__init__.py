"""The gateway: connections, sessions, heartbeats. Knows bytes and packets, and no command."""
