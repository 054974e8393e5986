"""The wire: packets, commands and results, as proto/README.md tells them. Knows no socket and no reactor."""
