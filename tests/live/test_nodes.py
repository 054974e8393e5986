"""`imctl nodes` over a real Redis and real nodes."""
