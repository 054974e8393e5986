"""The store: one relational schema through SQLAlchemy Core."""
