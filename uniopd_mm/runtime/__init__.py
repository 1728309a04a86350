"""Basics used by all folders: processes, random numbers, the cache folder, counted reasons."""
