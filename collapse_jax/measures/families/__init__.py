"""The measures, one family of result variables a file."""
