"""Whole models; each in its own file, and none imports another."""
