"""What everything shares: values that cross threads, time, the newest-wins mailbox, words for the terminal."""
