"""What a user could pick instead, each measured in its own process."""
