"""Configuration: schemas, checks, components and the command line."""
