"""Who is online where."""
