"""Running any network: what goes in, what is watched, in which precision, with which draws."""
