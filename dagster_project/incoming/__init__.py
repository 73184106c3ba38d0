"""What comes back from people: filled workbooks dropped into the inbox, read into answers that are landed like any other data."""
