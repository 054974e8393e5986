"""`imctl chat`: a small line-mode chat."""
