"""Log-mel frames to sound, as a stream: vocoders, and the analysis that they answer."""
