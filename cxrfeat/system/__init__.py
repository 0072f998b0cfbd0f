"""What touches the operating system: files, locks, this process, and paths as callers give them."""
