"""How well a film follows its sound."""
