"""Draw view parameters, then apply them: one grey image becomes uint8 views."""
