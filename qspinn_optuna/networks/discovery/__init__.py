"""What a network has: the parameters and states that a sample reaches."""
