"""A network and its head trained together, end to end."""
