"""The command line: argument types, tables and reports."""
