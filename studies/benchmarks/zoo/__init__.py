"""Networks as people build them, with their parameters counted by hand, and the way of one through the library."""
