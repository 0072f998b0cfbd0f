"""Extraction: plan, shards, the HDF5 format, runners."""
