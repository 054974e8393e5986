"""The API for business servers and operators, over HTTP."""
