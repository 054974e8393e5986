"""imctl: the operator's commands, and a small chat."""
