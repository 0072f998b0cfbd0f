"""Files, formats, labels, patients, splits: from a folder to grey images and manifest rows."""
