"""What a checkpoint means. No Qt, no torch."""
