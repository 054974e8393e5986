"""`imctl bench`: the load generator, which counts every message it sends."""
