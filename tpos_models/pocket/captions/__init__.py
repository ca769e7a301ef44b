"""What scenes are called: words and captions."""
