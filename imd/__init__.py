"""imd: an instant-messaging daemon on Twisted."""
