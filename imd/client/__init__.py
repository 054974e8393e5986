"""The client SDK: knows the wire, and Twisted."""

from imd.client.client import Client

__all__ = ["Client"]
