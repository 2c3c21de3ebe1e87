"""Suppression, from judging events to orders and the file that outlives a restart."""
