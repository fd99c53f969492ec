"""Sessions that were ended before their time: which those are, and how all programs come to know of them."""
