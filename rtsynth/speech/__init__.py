"""Speech as a Gaussian process: analysed into bands, drawn again."""
