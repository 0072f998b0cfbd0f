"""Where a class comes from in an image: heat maps, activation maps, the patches that excite a unit, and how far to
believe them.
"""
