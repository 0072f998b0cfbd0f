"""Results as tables and pages: summarise to data, then render."""
