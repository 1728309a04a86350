"""What every part may use: processes, random numbers, the cache folder, counted reasons."""
