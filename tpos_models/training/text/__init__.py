"""Training what reads prompts."""
