"""Engines that draw responses from the student."""
