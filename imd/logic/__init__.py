"""Logic: what each command means. No I/O of its own; the outside comes through imd.ports."""
