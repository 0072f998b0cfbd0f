"""Frozen networks: the table, their weights and preprocessing, and the engines that run them."""
