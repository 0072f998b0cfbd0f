"""The phantom chest set: drawn images of a classification that has an answer, and shortcuts planted in it."""
