"""Draw view parameters and apply them: image files become uint8 views, handed over in one stream."""
