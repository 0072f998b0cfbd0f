"""Which version of cxrfeat this is; runs, searches and pages name it."""

__version__ = "0.1.0"
