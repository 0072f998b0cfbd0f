"""The search for a head: what may vary, and how the best is found."""
