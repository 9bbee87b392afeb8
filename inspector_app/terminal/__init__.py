"""What the commands print: trees, tables, JSON and progress. No Qt, no torch."""
