"""What is written: files that are whole or not there, and which files may be replaced."""
