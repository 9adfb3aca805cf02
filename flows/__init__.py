"""What people deploy and run: thin, one flow a file."""
