"""Models out to ONNX and the runners that execute them; shows out to video files."""
