"""Code generated from proto/imd.proto; never edited by hand."""
