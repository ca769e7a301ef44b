"""Recording a live show, and reading it back."""
