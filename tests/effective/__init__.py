"""What a Makejail says of its jail, in the jail's document."""
