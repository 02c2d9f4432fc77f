"""How a module computes in fixed point: its parameters, its states, its step."""
