"""Sound to conditioning: the spectrogram, the TPoS encoder, and its streaming form."""
