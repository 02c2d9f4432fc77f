"""What enters a network, its layers and its neurons from outside of fixed point."""
