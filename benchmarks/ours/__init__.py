"""Our sides."""
