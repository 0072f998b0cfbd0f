"""Where in an image a class comes from: heat, activation maps, top patches, and how far to believe them."""
