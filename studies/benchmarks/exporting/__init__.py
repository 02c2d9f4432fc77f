"""What the check of exports and its tests share: models of any formats, and C that is wrong in one place."""
