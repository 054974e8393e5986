"""The client SDK: knows the wire, and Twisted."""
