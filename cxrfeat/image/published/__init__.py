"""Published data sets by name: what each looks like on disk, and what its tables say of an image."""
