"""What is asked, how it is tried, and which mistakes are known."""
